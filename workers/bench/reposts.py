"""What remembering answers saves on a stream with reposts, beside judging every text; and what texts of one's own repeat."""

import random
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from schemas.insights import Analysis
from schemas.taxonomy import load_taxonomy
from workers.alerting.likeness import ALIKE_BITS, simhash
from workers.analyze.judge import Judge, Request
from workers.analyze.known_answers import KnownAnswers
from workers.bench.rounds import Contest, Measured, in_turn, markdown
from workers.bench.stopwatch import Speed, timed
from workers.errors import UsageError
from workers.settings import Settings
from workers.slm.packs import Pack
from workers.worker import build_redactor, known_answers

SHARES = (0, 20, 50)  # of a hundred texts that came before
AT_ONCE = 256  # given to the judge at once: a block
OWN, OWN_ROUNDS = "texts of the file", 2  # they may be many, and are real: their answers are compared
EVERY, MEMORY = "every text judged", "answers remembered"
Judging = Callable[[Sequence[Request]], list[Analysis | None]]


def measure_cache(
    settings: Settings, pack: Pack, texts: Sequence[str], own: Sequence[str], rounds: int, said: Callable[[str], None]
) -> Measured:
    """`cache_saving_…`: the speed of remembering to that of judging every text. Every round begins with an empty memory.
    `own`: texts as they came, with what they repeat; none when empty.

    Raises `UsageError` when the settings ask for no memory.
    """
    redactor, taxonomy, model = build_redactor(settings), load_taxonomy(settings.taxonomy), settings.model
    headline_min_chars = model.headline_min_chars
    judge = Judge(pack, taxonomy, redactor, b"", replicas=model.replicas, headline_min_chars=headline_min_chars)
    streams = {f"{share} % reposts": _requests(reposted(texts, share / 100)) for share in SHARES}
    skipped = {} if own else {OWN: "no --texts were given"}
    real = [Request(redactor.redact(text).text) for text in own]
    if real:
        streams[OWN] = real
    figures: dict[str, float] = {}
    details: dict[str, Any] = {"rounds": rounds, "speeds": {}, "differences": {}}
    rows = []
    with closing(judge):
        judge.judge(streams["0 % reposts"][:AT_ONCE])
        for name, stream in streams.items():
            said(f"{name}: {len(stream):,} texts")
            times = min(rounds, OWN_ROUNDS) if name == OWN else rounds
            contest, memory, unlike = _contest(settings, judge, stream, times, said)
            ratio = contest.ratio(MEMORY, EVERY)
            repeats = _repeats([(request.text,) for request in stream])
            speeds = [f"{contest.median(way):,.0f}" for way in (EVERY, MEMORY)]
            rows.append([name, f"{100 * repeats:.1f} %", *speeds, f"{ratio:.2f}", f"{memory / len(stream):,.0f}"])
            rows[-1] += [f"{count} of {len(stream):,}" for count in unlike.values()]
            figure = f"cache_saving_{name.replace(' % ', '_pct_').replace(' ', '_')}"
            figures |= {figure: ratio, f"{figure}_cpu": contest.core_ratio(MEMORY, EVERY)}
            details["speeds"][name], details["differences"][name] = contest.as_document(), unlike
    table = markdown(
        ["stream", "repeated", "every text/s", "remembering/s", "ratio", "bytes a text", *unlike],
        rows,
    )
    if real:
        found = repeats_of(real)
        details["repeats"] = found
        table += "\n\n" + markdown(
            [f"of {len(real):,} {OWN}, share that came before", "%"],
            [[what, f"{100 * share:.2f}"] for what, share in found.items()],
        )
    return Measured("cache", table, figures, details, skipped)


def reposted(texts: Sequence[str], share: float, seed: int = 0) -> list[str]:
    """As many texts, of which `share` (0…1) are copies of one that came before, any of them."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    fresh = iter(texts)
    stream: list[str] = [next(fresh)]
    while len(stream) < len(texts):
        stream.append(rng.choice(stream) if rng.random() < share else next(fresh))
    return stream


def repeats_of(requests: Sequence[Request]) -> dict[str, float]:
    """The share of texts that the same process has judged before, where several part them at random; and of those that are
    only much like one."""
    texts = [request.text for request in requests]
    found = {"word for word, one worker": _repeats([(text,) for text in texts])}
    for workers in (2, 4):
        parts = [(text, number * 2_654_435_761 % 2**32 * workers >> 32) for number, text in enumerate(texts)]
        found[f"word for word, {workers} workers"] = _repeats(parts)
    found["not word for word, but alike"] = _alike(dict.fromkeys(texts)) / len(texts)
    return found


def _repeats(keys: Sequence[tuple[Any, ...]]) -> float:
    return 1 - len(set(keys)) / len(keys)


def _alike(texts: dict[str, None]) -> int:
    """How many distinct texts are near-identical to one before them, by SimHash."""
    hashes = np.array([found for text in texts if (found := simhash(text)) is not None], dtype=np.uint64)
    return sum(
        bool((np.bitwise_count(hashes[:place] ^ hashes[place]) <= ALIKE_BITS).any()) for place in range(1, len(hashes))
    )


def _contest(
    settings: Settings, judge: Judge, stream: Sequence[Request], rounds: int, said: Callable[[str], None]
) -> tuple[Contest, int, dict[str, int]]:
    """Both ways in turn; the bytes remembered; how many answers of the last round are other ones, by what differs."""
    answers: dict[str, list[Analysis | None]] = {}
    memories: list[KnownAnswers] = []

    def every(_: int) -> Speed:
        return timed(len(stream), lambda: answers.update({EVERY: _judged(judge.judge, stream)}))

    def remembering(_: int) -> Speed:
        memories[:] = [memory := _empty_memory(settings)]
        return timed(len(stream), lambda: answers.update({MEMORY: _judged(partial(memory.judge, judge), stream)}))

    contest = in_turn({EVERY: every, MEMORY: remembering}, rounds, said)
    backwards = _judged(judge.judge, stream[::-1])[::-1]
    unlike = {
        "other labels": _other(answers[EVERY], answers[MEMORY], numbers=False),
        "other numbers": _other(answers[EVERY], answers[MEMORY], numbers=True),
        "other labels when judged backwards": _other(answers[EVERY], backwards, numbers=False),
        "other numbers when judged backwards": _other(answers[EVERY], backwards, numbers=True),
    }
    return contest, memories[0].bytes, unlike


def _empty_memory(settings: Settings) -> KnownAnswers:
    memory = known_answers(settings)
    if memory is None:
        raise UsageError("the settings ask for no memory (model.cache_entries, model.cache_mb); set both above 0")
    return memory


def _judged(judge: Judging, stream: Sequence[Request]) -> list[Analysis | None]:
    return [answer for first in range(0, len(stream), AT_ONCE) for answer in judge(stream[first : first + AT_ONCE])]


def _other(some: Sequence[Analysis | None], others: Sequence[Analysis | None], *, numbers: bool) -> int:
    told = _numbered if numbers else _labelled
    return sum(told(one) != told(other) for one, other in zip(some, others, strict=True))


def _numbered(analysis: Analysis | None) -> Any:
    return analysis and analysis.model_dump(exclude={"route"})


def _labelled(analysis: Analysis | None) -> Any:
    if analysis is None:
        return None
    aspects = [(m.aspect, m.sentiment, m.evidence) for m in analysis.aspects]
    said = (analysis.sentiment.label, analysis.intents, analysis.emotion, analysis.labels, analysis.headline)
    return said, aspects, analysis.language, analysis.flags


def _requests(texts: Sequence[str]) -> list[Request]:
    return [Request(text) for text in texts]
