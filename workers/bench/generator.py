"""The generator beside llama.cpp: the same GGUF's weights, the same prompts, the same cores, in turn.

A prompt asks for the digest of eight texts, as `voxpop digests` asks. llama.cpp gets them one after the other, all threads
for each, with what they begin with kept from one to the next, as llama-cpp-python does by itself; ours get a thread each.
Its threads spin while they wait for each other, so on a busy machine only one thread (VOXPOP_MODEL__REPLICAS=1) and the
ratio by computing done mean anything.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

from workers.analyze.author import NEW_TOKENS, SYSTEM, GeneratingAuthor
from workers.bench.rounds import Contest, Measured, in_turn, markdown
from workers.bench.stopwatch import Speed, Stopwatch
from workers.errors import UsageError
from workers.settings import Settings, usable_cpus
from workers.slm.build import ensure_pack
from workers.slm.generator import DecoderShape, Generator
from workers.slm.packs import Pack
from workers.slm.recipes import load_recipe
from workers.slm.sources import fetch_base

OURS = "CTranslate2 int8 (Voxpop)"
THEIRS = "llama.cpp, the GGUF as it is"
TEXTS_A_DIGEST = 8
MISSING = "llama-cpp-python is missing; pip install 'voxpop[bench-generator]' (it compiles for some minutes)"
Write = Callable[[Sequence[str]], list[str]]


class _Way(NamedTuple):
    """Answers prompts; `tokens` collects how many it wrote in each round."""

    write: Write
    tokens: list[int]


def measure_generator(
    settings: Settings, texts: Sequence[str], digests: int, rounds: int, said: Callable[[str], None]
) -> Measured:
    """Digests and new tokens a second of both. `generator_to_llama_cpp`: ours to llama.cpp's, in tokens, above 1 where ours
    is faster; `…_digests` in digests, `…_cpu` in digests by computing done. Raises `PackError`."""
    if len(texts) < TEXTS_A_DIGEST * digests:
        raise UsageError(f"{digests} digests need {TEXTS_A_DIGEST * digests} texts, there are {len(texts)}; give more")
    name = settings.model.generator or settings.serve.pack
    pack = ensure_pack(name, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source, progress=said)
    threads = settings.model.replicas or usable_cpus()
    with pack.generator(threads) as generator:
        author = GeneratingAuthor(generator, pack.name, pack.version)
        groups = [texts[i * TEXTS_A_DIGEST :][:TEXTS_A_DIGEST] for i in range(digests)]
        asked = [author.asked(group) for group in groups]
        ways = {OURS: _Way(lambda some: generator.answers(SYSTEM, some, NEW_TOKENS), [])}
        llama, why = _llama(pack, generator.shape, settings, threads, said)
        if llama:
            ways[THEIRS] = _Way(llama, [])

        def speed_of(way: _Way) -> Callable[[int], Speed]:
            return lambda _: _timed(way, asked, generator)

        for way in ways.values():
            way.write(asked[:1])
        contest = in_turn({name: speed_of(way) for name, way in ways.items()}, rounds, said)
        prompt_tokens = sum(len(generator.tokens(SYSTEM + text)) for text in asked) / digests
    written = {name: way.tokens for name, way in ways.items()}
    return _measured(contest, written, digests, prompt_tokens, {} if llama else {THEIRS: why}, pack, threads)


def _timed(way: _Way, asked: Sequence[str], generator: Generator) -> Speed:
    watch = Stopwatch()
    answers = way.write(asked)
    speed = watch.speed(len(asked))
    way.tokens.append(sum(len(generator.tokens(answer)) for answer in answers))
    return speed


def _llama(
    pack: Pack, shape: DecoderShape, settings: Settings, threads: int, said: Callable[[str], None]
) -> tuple[Write | None, str]:
    """llama.cpp with the file that the pack was made of, or why it cannot take part."""
    if find_spec("llama_cpp") is None:
        return None, MISSING
    base = load_recipe(pack.name).base
    if base.format != "gguf":
        return None, f"the pack {pack.name} was not made of a GGUF; take one that was: VOXPOP_MODEL__GENERATOR"
    weights = fetch_base(base, settings.cache_dir, settings.model.base_source, said)["weights"]
    return _llama_write(weights, shape, threads), ""


def _llama_write(weights: Path, shape: DecoderShape, threads: int) -> Write:
    from llama_cpp import Llama

    model = Llama(str(weights), n_ctx=shape.context_tokens, n_threads=threads, n_threads_batch=threads, verbose=False)

    def write(asked: Sequence[str]) -> list[str]:
        answers = []
        for text in asked:
            turns = (("system", SYSTEM), ("user", text))
            spoken = "".join(f"{shape.turn_start}{role}\n{words}{shape.turn_end}\n" for role, words in turns)
            prompt = model.tokenize(f"{spoken}{shape.turn_start}assistant\n".encode(), add_bos=False, special=True)
            answer = model.create_completion(prompt, max_tokens=NEW_TOKENS, temperature=0.0, repeat_penalty=1.0)
            answers.append(str(answer["choices"][0]["text"]))
        return answers

    return write


def _measured(
    contest: Contest,
    written: Mapping[str, list[int]],
    digests: int,
    prompt_tokens: float,
    skipped: Mapping[str, str],
    pack: Pack,
    threads: int,
) -> Measured:
    def tokens_a_second(way: str) -> list[float]:
        speeds = contest.speeds[way]
        return [speed.a_second * count / digests for speed, count in zip(speeds, written[way], strict=True)]

    rows = []
    for way in contest.speeds:
        ratios = [ours / its for ours, its in zip(tokens_a_second(OURS), tokens_a_second(way), strict=True)]
        figures = (f"{contest.median(way):.3f}", f"{median(tokens_a_second(way)):.1f}", f"{median(ratios):.2f}")
        rows.append([way, *figures, f"{contest.ratio(OURS, way):.2f}", f"{contest.core_ratio(OURS, way):.2f}"])
    rows += [[name, "—", "—", f"skipped: {why}", "", ""] for name, why in skipped.items()]
    header = ["generator", "digests/s", "new tokens/s", "ours ÷ it, tokens", "digests", "by computing"]
    found = {
        "generator_digests_a_second": contest.median(OURS),
        "generator_tokens_a_second": median(tokens_a_second(OURS)),
    }
    if THEIRS in contest.speeds:
        pairs = zip(tokens_a_second(OURS), tokens_a_second(THEIRS), strict=True)
        found |= {
            "generator_to_llama_cpp": median(ours / its for ours, its in pairs),
            "generator_to_llama_cpp_digests": contest.ratio(OURS, THEIRS),
            "generator_to_llama_cpp_cpu": contest.core_ratio(OURS, THEIRS),
        }
    details = {
        "pack": f"{pack.name} {pack.version}",
        "digests": digests,
        "texts_a_digest": TEXTS_A_DIGEST,
        "prompt_tokens": round(prompt_tokens, 1),
        "new_tokens": {name: list(counts) for name, counts in written.items()},
        "threads": threads,
        "speeds": contest.as_document(),
    }
    return Measured("generator", markdown(header, rows), found, details, skipped)
