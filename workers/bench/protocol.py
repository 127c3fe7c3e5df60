"""What exactly-once costs beside at-least-once: the same worker loop, with and without the protocol."""

from collections.abc import Callable, Sequence
from statistics import median

from workers.analyze.judge import Judge
from workers.bench.rounds import Contest, Measured, in_turn, markdown, spread
from workers.bench.runs import at_least_once_speed, exactly_once_speed
from workers.bench.ways import ConstantJudge
from workers.settings import Settings

WAYS = ("at least once", "exactly once")


def measure_protocol(
    settings: Settings,
    judge: Judge,
    texts: Sequence[str],
    many: Sequence[str],
    rounds: int,
    said: Callable[[str], None],
) -> Measured:
    """With the real model on `texts`, and with a constant in its place on `many`, where the plumbing is all there is.

    `protocol_cost_pct`: how much longer a message takes with the protocol, in per cent, the median over the rounds;
    `protocol_cost_pct_by_plumbing`: the time that it adds to a message where the plumbing is all there is, in per cent of
    the time that a message takes with the real model: the same cost with less noise;
    `protocol_cost_cpu_pct`: how much more computing, of the worker, the broker and ClickHouse together.
    """
    real = _contest(settings, judge, texts, rounds, said)
    bare = _contest(settings, ConstantJudge(), many, rounds, said)
    rows = [_row("the real model", real, len(texts)), _row("a constant in its place", bare, len(many))]
    header = [
        "model",
        "texts",
        "at least once, 1/s",
        "exactly once, 1/s",
        "cost, % (quartiles)",
        "in computing, % (quartiles)",
    ]
    lower, upper = spread(_costs(real))
    figures = {
        "protocol_cost_pct": median(_costs(real)),
        "protocol_cost_pct_lower_quartile": lower,
        "protocol_cost_pct_upper_quartile": upper,
        "protocol_cost_cpu_pct": median(_core_costs(real)),
        "protocol_cost_pct_by_plumbing": 100 * _extra_s(bare) * real.median("at least once"),
        "protocol_cost_pct_constant_model": median(_costs(bare)),
        "protocol_cost_cpu_pct_constant_model": median(_core_costs(bare)),
    }
    details = {"rounds": rounds, "real_model": real.as_document(), "constant_model": bare.as_document()}
    return Measured("protocol", markdown(header, rows), figures, details)


def _contest(
    settings: Settings, judge: Judge, texts: Sequence[str], rounds: int, said: Callable[[str], None]
) -> Contest:
    ways = {
        "exactly once": lambda _: exactly_once_speed(settings, judge, texts),
        "at least once": lambda _: at_least_once_speed(settings, judge, texts),
    }
    return in_turn(ways, rounds, said)


def _costs(contest: Contest) -> list[float]:
    return [100 * (ratio - 1) for ratio in contest.ratios(*WAYS)]


def _core_costs(contest: Contest) -> list[float]:
    return [100 * (ratio - 1) for ratio in contest.core_ratios(*WAYS)]


def _row(model: str, contest: Contest, count: int) -> list[str]:
    speeds = [f"{contest.median(way):,.0f}" for way in WAYS]
    return [model, f"{count:,}", *speeds, _told(_costs(contest)), _told(_core_costs(contest))]


def _extra_s(contest: Contest) -> float:
    """Seconds that the protocol adds to a message."""
    pairs = zip(contest.speeds["exactly once"], contest.speeds["at least once"], strict=True)
    return median(1 / exactly.a_second - 1 / at_least.a_second for exactly, at_least in pairs)


def _told(costs: list[float]) -> str:
    lower, upper = spread(costs)
    return f"{median(costs):.1f} ({lower:.1f} … {upper:.1f})"
