"""Topic to ClickHouse by the real worker process, beside the bare encoder and heads on the same texts."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.request import urlopen

from workers.bench.rounds import Measured, in_turn, markdown
from workers.bench.runs import events_of
from workers.bench.stopwatch import Speed, Stopwatch, timed
from workers.embedded.process import free_port
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.slm.packs import Pack
from workers.stack import Stack, running_stack

ENGINE_TEXTS = 1_024  # given to the bare engine at once: what a worker with four partitions has in hand
WARM_UP = 128


def measure_pipeline(
    settings: Settings, pack: Pack, texts: Sequence[str], rounds: int, directory: Path, said: Callable[[str], None]
) -> Measured:
    """`pipeline_to_engine`: the share of the bare engine's rate that is left from the producer to the row, without cache."""
    port = free_port()
    topic = settings.kafka.topics[0]
    encoder = pack.encoder(settings.model.replicas)
    heads = pack.heads

    def judge_all() -> None:
        for first in range(0, len(texts), ENGINE_TEXTS):
            heads.predict(encoder.encode(texts[first : first + ENGINE_TEXTS]).pooled)

    def engine(_: int) -> Speed:
        return timed(len(texts), judge_all)

    forgetful = settings.model_copy(update={"model": settings.model.model_copy(update={"cache_entries": 0})})
    with encoder, running_stack(forgetful, directory, http_port=port) as stack:

        def pipeline(number: int) -> Speed:
            return stream_speed(stack, texts, topic, f"bench-{number}")

        stream_speed(stack, texts[:WARM_UP], topic, "warm-up")
        encoder.encode(texts[:WARM_UP])
        before = _stage_seconds(port)
        contest = in_turn({"pipeline": pipeline, "engine": engine}, rounds, said)
        stages = {name: seconds - before.get(name, 0.0) for name, seconds in _stage_seconds(port).items()}
    ratio = contest.ratio("pipeline", "engine")
    rows = [
        ["topic to ClickHouse, one worker process", f"{contest.median('pipeline'):,.0f}", f"{ratio:.3f}"],
        ["the encoder and its heads alone", f"{contest.median('engine'):,.0f}", "1.000"],
    ]
    total = sum(stages.values())
    shares = {name: seconds / total for name, seconds in stages.items()} if total else {}
    table = markdown(["on the same texts, in turn", "texts/s", "ratio"], rows)
    table += "\n\n" + markdown(
        ["stage of the worker", "share of its time"], [[name, f"{100 * share:.1f} %"] for name, share in shares.items()]
    )
    details = {"rounds": rounds, "texts": len(texts), "speeds": contest.as_document(), "stage_shares": shares}
    figures = {"pipeline_to_engine": ratio, "pipeline_to_engine_cpu": contest.core_ratio("pipeline", "engine")}
    return Measured("pipeline", table, figures, details)


def stream_speed(stack: Stack, texts: Sequence[str], topic: str, source: str) -> Speed:
    """Messages a second from the producer to the row. Raises `VoxpopError` when some are not stored."""
    messages = events_of(texts, topic, source)
    watch = Stopwatch()
    summary = stack.run_stream(messages)
    if summary.insights != len(texts):
        raise VoxpopError(f"{summary.insights} of {len(texts)} events are stored: this run measured nothing")
    return watch.speed(len(texts))


def _stage_seconds(port: int) -> dict[str, float]:
    """Seconds that the worker's block thread has spent in each stage so far."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r'voxpop_stage_seconds_sum\{stage="(\w+)"\} (\S+)', told)}
