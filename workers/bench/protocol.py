"""What exactly-once costs beside at-least-once: the same worker loop, with and without the protocol."""

from collections.abc import Callable, Sequence

from workers.analyze.judge import Judge
from workers.bench.rounds import Contest, Measured, in_turn, markdown, spread
from workers.bench.runs import at_least_once_rate, exactly_once_rate
from workers.bench.ways import ConstantJudge
from workers.settings import Settings


def measure_protocol(
    settings: Settings,
    judge: Judge,
    texts: Sequence[str],
    many: Sequence[str],
    rounds: int,
    said: Callable[[str], None],
) -> Measured:
    """With the real model on `texts`, and with a constant in its place on `many`, where the plumbing is all there is.

    `protocol_cost_pct`: how much longer a message takes with the protocol, in per cent; the median over the rounds.
    """
    real = _contest(settings, judge, texts, rounds, said)
    bare = _contest(settings, ConstantJudge(), many, rounds, said)
    rows = [_row("the real model", real, len(texts)), _row("a constant in its place", bare, len(many))]
    header = ["model", "texts", "at least once, 1/s", "exactly once, 1/s", "cost, % (quartiles)"]
    lower, upper = spread(_costs(real))
    figures = {
        "protocol_cost_pct": _cost(real),
        "protocol_cost_pct_lower_quartile": lower,
        "protocol_cost_pct_upper_quartile": upper,
        "protocol_cost_pct_constant_model": _cost(bare),
    }
    details = {"rounds": rounds, "real_model": dict(real.rates), "constant_model": dict(bare.rates)}
    return Measured("protocol", markdown(header, rows), figures, details)


def _contest(
    settings: Settings, judge: Judge, texts: Sequence[str], rounds: int, said: Callable[[str], None]
) -> Contest:
    ways = {
        "exactly once": lambda _: exactly_once_rate(settings, judge, texts),
        "at least once": lambda _: at_least_once_rate(settings, judge, texts),
    }
    return in_turn(ways, rounds, said)


def _costs(contest: Contest) -> list[float]:
    return [100 * (ratio - 1) for ratio in contest.ratios("at least once", "exactly once")]


def _cost(contest: Contest) -> float:
    return 100 * (contest.ratio("at least once", "exactly once") - 1)


def _row(model: str, contest: Contest, count: int) -> list[str]:
    lower, upper = spread(_costs(contest))
    rates = [f"{contest.median(way):,.0f}" for way in ("at least once", "exactly once")]
    return [model, f"{count:,}", *rates, f"{_cost(contest):.1f} ({lower:.1f} … {upper:.1f})"]
