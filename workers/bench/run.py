"""A benchmark: its parts, one after the other, on stacks of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers.bench.beside_digests import measure_digests
from workers.bench.engine import measure_engine
from workers.bench.generator import measure_generator
from workers.bench.latency import measure_latency
from workers.bench.plumbing import measure_plumbing
from workers.bench.protocol import measure_protocol
from workers.bench.reposts import measure_cache
from workers.bench.rounds import Measured
from workers.bench.scale import measure_scale
from workers.bench.screens import measure_screens
from workers.bench.soak import measure_soak
from workers.bench.texts import built_in_texts, texts_of
from workers.bench.whole_way import measure_pipeline
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.slm.packs import Pack
from workers.stack import running_stack
from workers.worker import build_judge

PARTS = ("engine", "pipeline", "protocol", "plumbing", "latency", "scale", "cache", "digests", "screens")
# Only when asked for: a quarter of an hour, and another model to fetch.
EXTRA_PARTS = ("soak", "generator")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `texts` go through the model, `messages` only through the plumbing; the other
    engines are slow, so they and ours get `engine_texts`, as do streams with reposts; `own` of a file's are judged with and
    without memory. `rows` are what the screens are measured over."""

    texts: int
    engine_texts: int
    messages: int
    rounds: int
    own: int
    rows: int
    screen_rounds: int
    paced_s: float  # so long texts come at each load
    starts: int  # of a whole stack, for each number of workers
    soak: int  # events of the long stream
    digests: int  # that a generator writes


FULL, QUICK = (
    Size(
        texts=2_048,
        engine_texts=1_024,
        messages=20_000,
        rounds=7,
        own=10_000,
        rows=1_000_000,
        screen_rounds=20,
        paced_s=60,
        starts=3,
        soak=1_000_000,
        digests=8,
    ),
    Size(
        texts=256,
        engine_texts=64,
        messages=8_000,
        rounds=2,
        own=256,
        rows=20_000,
        screen_rounds=3,
        paced_s=5,
        starts=1,
        soak=2_000,
        digests=2,
    ),
)


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What is asked for. `texts`: a file of one's own; `rows`: so many generated insights under the screens."""

    parts: Sequence[str]
    quick: bool = False
    texts: Path | None = None
    rows: int | None = None

    @property
    def size(self) -> Size:
        size = QUICK if self.quick else FULL
        return size if self.rows is None else replace(size, rows=self.rows)


def run_bench(
    request: BenchRequest, settings: Settings, directory: Path, said: Callable[[str], None]
) -> dict[str, Measured]:
    """Part -> its result, in the order asked for. Raises `VoxpopError` when a run did not do its work."""
    size = request.size
    texts = texts_of(request.texts, size.texts) if request.texts else built_in_texts(size.texts)
    measured = {}
    for part in request.parts:
        place = directory / part
        place.mkdir()
        if part == "screens":
            said(f"{part}: {size.rows:,} rows, {size.screen_rounds} rounds")
            measured[part] = measure_screens(settings, size.rows, size.screen_rounds, place, said)
            continue
        said(f"{part}: {size.rounds} rounds")
        if part == "generator":
            measured[part] = measure_generator(settings, texts, size.digests, size.rounds, said)
            continue
        pack = ensure_pack(
            settings.model.pack,
            settings.packs_dir,
            settings.cache_dir,
            choice=settings.model.base_source,
            progress=said,
        )
        own = texts_of(request.texts, size.own) if request.texts else []
        measured[part] = _measure(part, settings, pack, texts, own, size, place, said)
    return measured


def _measure(
    part: str,
    settings: Settings,
    pack: Pack,
    texts: Sequence[str],
    own: Sequence[str],
    size: Size,
    place: Path,
    said: Callable[[str], None],
) -> Measured:
    if part == "engine":
        return measure_engine(settings, pack, texts[: size.engine_texts], size.rounds, place, said)
    if part == "pipeline":
        return measure_pipeline(settings, pack, texts, size.rounds, place, said)
    if part == "latency":
        return measure_latency(settings, texts, size.paced_s, place, said)
    if part == "digests":
        return measure_digests(settings, texts, size.rounds, place, said)
    if part == "scale":
        return measure_scale(settings, texts, size.starts, place, said)
    if part == "soak":
        return measure_soak(settings, size.soak, place, said)
    if part == "cache":
        made = built_in_texts(size.engine_texts)  # no two alike: what is repeated is ours to say
        return measure_cache(settings, pack, made, own, size.rounds, said)
    with running_stack(settings, place, workers=0) as stack:
        many = built_in_texts(size.messages, seed=1)
        if part == "plumbing":
            return measure_plumbing(stack.settings, many, size.rounds, said)
        judge = build_judge(settings)
        try:
            return measure_protocol(stack.settings, judge, texts, many, size.rounds, said)
        finally:
            judge.close()
