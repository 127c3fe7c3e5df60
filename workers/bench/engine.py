"""The engine's own loop beside other runtimes on the same weights, the same texts and the same cores."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

from workers.bench.rounds import Measured, in_turn, markdown
from workers.bench.stopwatch import Speed, timed
from workers.settings import Settings, usable_cpus
from workers.slm.bert import Bert
from workers.slm.checkpoint import read_checkpoint
from workers.slm.e5s1 import read_e5s1
from workers.slm.errors import PackError
from workers.slm.packs import TOKENIZER_FILE, Pack
from workers.slm.recipes import load_recipe
from workers.slm.sources import fetch_base

OURS = "CTranslate2 int8 (Voxpop)"
EXTRA = "install the extra: pip install 'voxpop[bench]'"
SPARE_TOKENS = 4  # a cut text may be split otherwise at its end
Embed = Callable[[Sequence[str]], None]


def measure_engine(
    settings: Settings, pack: Pack, texts: Sequence[str], rounds: int, directory: Path, said: Callable[[str], None]
) -> Measured:
    """Documents and tokens a second of each; `engine_to_…`: ours to the other's, above 1 where ours is faster."""
    threads = settings.model.replicas or usable_cpus()
    encoder = pack.encoder(settings.model.replicas)
    with encoder:
        short = _in_one_window(pack, texts)
        tokens = int(encoder.encode(short).tokens.sum())
        rivals, skipped = _rivals(settings, pack, threads, directory, said)
        embed: dict[str, Embed] = {OURS: encoder.encode, **rivals}  # type: ignore[dict-item]

        def speed_of(name: str) -> Callable[[int], Speed]:
            return lambda _: timed(len(short), lambda: embed[name](short))

        for name in embed:
            embed[name](short[:64])
        contest = in_turn({name: speed_of(name) for name in embed}, rounds, said)
    a_text = tokens / len(short)
    rows = [
        [
            name,
            f"{contest.median(name):,.0f}",
            f"{contest.median(name) * a_text:,.0f}",
            f"{contest.ratio(OURS, name):.2f}",
        ]
        for name in embed
    ]
    rows += [[name, "—", "—", f"skipped: {why}"] for name, why in skipped.items()]
    table = markdown(["engine", "texts/s", "tokens/s", "ours ÷ it"], rows)
    figures = {FIGURES[name]: contest.ratio(OURS, name) for name in rivals}
    details = {
        "rounds": rounds,
        "texts": len(short),
        "tokens_a_text": a_text,
        "threads": threads,
        "speeds": contest.as_document(),
    }
    return Measured("engine", table, figures, details, skipped)


FIGURES = {
    "ONNX Runtime int8": "engine_to_ort_int8",
    "ONNX Runtime fp32": "engine_to_ort_fp32",
    "PyTorch fp32, sorted by length": "engine_to_pytorch",
    "Hugging Face pipeline (PyTorch fp32)": "engine_to_hf_pipeline",
}


def _in_one_window(pack: Pack, texts: Sequence[str]) -> list[str]:
    """The texts, cut where one window ends: the others have no windows, and shall do the same work."""
    tokenizer = Tokenizer.from_file(str(pack.path / TOKENIZER_FILE))
    tokenizer.no_truncation()
    layout = pack.layout
    room = layout.window_tokens - len(tokenizer.encode(layout.prefix).ids) - SPARE_TOKENS
    ends = [encoding.offsets[:room][-1][1] for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def _rivals(
    settings: Settings, pack: Pack, threads: int, directory: Path, said: Callable[[str], None]
) -> tuple[dict[str, Embed], dict[str, str]]:
    """Those that can run here, and why the others cannot."""
    missing = {
        name: f"{', '.join(lacking)} not installed; {EXTRA}"
        for name, needed in NEEDED.items()
        if (lacking := [package for package in needed if find_spec(package) is None])
    }
    if len(missing) == len(NEEDED):
        return {}, missing
    try:
        bert = _base(settings, pack, said)
    except PackError as error:
        return {}, {name: missing.get(name, str(error)) for name in NEEDED}
    rivals: dict[str, Embed] = {}
    prefix = pack.layout.prefix
    if "ONNX Runtime int8" not in missing:
        from workers.bench.onnx_engine import onnx_engines

        rivals |= onnx_engines(bert, prefix, threads, directory)
    if "PyTorch fp32, sorted by length" not in missing:
        from workers.bench.torch_engine import torch_engines

        rivals |= torch_engines(bert, prefix, threads)
    return rivals, missing


NEEDED = {
    "ONNX Runtime int8": ("onnx", "onnxruntime"),
    "ONNX Runtime fp32": ("onnx", "onnxruntime"),
    "PyTorch fp32, sorted by length": ("torch", "transformers"),
    "Hugging Face pipeline (PyTorch fp32)": ("torch", "transformers"),
}


def _base(settings: Settings, pack: Pack, said: Callable[[str], None]) -> Bert:
    """The float32 weights that the pack was made of. Raises `PackError` when no recipe of ours made it."""
    recipe = load_recipe(pack.name)
    files = fetch_base(recipe.base, settings.cache_dir, settings.model.base_source, said)
    if recipe.base.format == "e5s1":
        return read_e5s1(files["weights"])
    return read_checkpoint(files["weights"], files["tokenizer"], files["config"])
