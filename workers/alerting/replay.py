"""Measures alerts on texts of the past: what they would have told, how often by chance, how long after something began.

A shuffled round keeps each text's product and time of day and gives it a day by lot, so that nothing changes but by chance:
every alert is a false alarm. Then an incident is planted in one product and looked for.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from schemas.alerts import Alert
from workers.alerting.counts import DAY
from workers.alerting.text import AlertText, hour_of
from workers.alerting.watch import Tables, Watch
from workers.settings import AlertSettings

INCIDENT_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class Replayed:
    """`alerts`: the newest revision of each. `windows`: windows of products that had a past to be compared with."""

    alerts: Sequence[Alert]
    windows: int
    days: float
    late: int


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Of all rounds together. `days`: those that were tested. `delays_windows`: of the incidents found."""

    rounds: int
    days: float
    false_alarms: int
    by_kind: dict[str, int]
    planted: int
    delays_windows: Sequence[int]

    @property
    def false_alarms_per_day(self) -> float:
        return self.false_alarms / self.days if self.days else 0.0


def replay(texts: Iterable[AlertText], settings: AlertSettings) -> Replayed:
    """The alerts of these texts, in their order, as `voxpop alerts` would have told them in the end."""
    watch = Watch(settings, Tables({}, {}, {}))
    newest: dict[str, Alert] = {}
    late = 0
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for text in texts:
        step = watch.take(text)
        late += step.late
        first[text.product] = min(text.hour, first.get(text.product, text.hour))
        last[text.product] = max(text.hour, last.get(text.product, text.hour))
        newest |= {alert.alert_id: alert for alert in step.alerts}
        watch.settle(step)
    step = watch.hurry()
    newest |= {alert.alert_id: alert for alert in step.alerts}
    size = settings.window_hours
    tested = {
        product: max(0, (last[product] - settings.lateness_hours - start) // size - _unready(settings))
        for product, start in first.items()
    }
    days = max(tested.values(), default=0) * size / DAY
    return Replayed(list(newest.values()), sum(tested.values()), days, late)


def delay_windows(alerts: Iterable[Alert], product: str, began: int, window_hours: int) -> int | None:
    """After how many windows the product's alert was told that holds hour `began` or opened later; None if there is none."""
    ends = [
        hour_of(alert.window_start) + window_hours
        for alert in alerts
        if alert.product == product and hour_of(alert.window_start) + window_hours > began
    ]
    return -(-(min(ends) - began) // window_hours) if ends else None


def shuffled(
    texts: Sequence[AlertText], settings: AlertSettings, *, rounds: int, days: int | None, seed: int
) -> Shuffled:
    """`days` to spread the texts over; those they have if None. The same seed gives the same figures."""
    lots = random.Random(seed)  # noqa: S311 - for repeating, not for secrets
    begin = min(text.hour for text in texts) // DAY
    over = days or max(text.hour for text in texts) // DAY - begin + 1
    tested = 0.0
    by_kind: dict[str, int] = {}
    delays: list[int | None] = []
    for _ in range(rounds):
        quiet = _in_order(replace(text, hour=(begin + lots.randrange(over)) * DAY + text.hour % DAY) for text in texts)
        found = replay(quiet, settings)
        tested += found.days
        for alert in found.alerts:
            by_kind[alert.kind] = by_kind.get(alert.kind, 0) + 1
        delays.append(_planted(quiet, settings, begin, over, lots))
    seen = [delay for delay in delays if delay is not None]
    return Shuffled(rounds, tested, sum(by_kind.values()), dict(sorted(by_kind.items())), len(delays), seen)


def _planted(
    texts: Sequence[AlertText], settings: AlertSettings, begin: int, over: int, lots: random.Random
) -> int | None:
    """After how many windows an incident is told: for three windows a product gets as many negative texts again as it has
    texts in a window. None when it is not, within these windows."""
    size = settings.window_hours
    product = lots.choice(sorted({text.product for text in texts if text.negative}))
    own = [text for text in texts if text.product == product]
    negative = [text for text in own if text.negative]
    windows = over * DAY // size
    ready = _unready(settings) + 1
    if windows <= ready + INCIDENT_WINDOWS:
        return None
    start = begin * DAY + lots.randrange(ready, windows - INCIDENT_WINDOWS) * size
    more = max(1, round(len(own) / windows))
    added = [
        replace(text, key=f"planted-{start}-{window}-{nth}", hour=start + window * size + lots.randrange(size))
        for window in range(INCIDENT_WINDOWS)
        for nth, text in enumerate(lots.choices(negative, k=more))
    ]
    alerts = replay(_in_order([*texts, *added]), settings).alerts
    delay = delay_windows([a for a in alerts if hour_of(a.window_start) >= start], product, start, size)
    return delay if delay is not None and delay <= INCIDENT_WINDOWS else None


def _unready(settings: AlertSettings) -> int:
    """Windows at a product's beginning that are only watched."""
    return settings.min_windows * max(DAY, settings.window_hours) // settings.window_hours


def _in_order(texts: Iterable[AlertText]) -> list[AlertText]:
    return sorted(texts, key=lambda text: (text.hour, text.key))
