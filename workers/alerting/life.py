"""An alert's life: it opens once, is told again while it lasts, and closes once.

Hysteresis: it opens below a level that chance seldom reaches, and lasts while its leading signal is still at all unlikely.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from workers.alerting.text import moment_of

EXAMPLES = 5
HIGH = 100  # so many times less likely than needed to open is severe

Because = Literal["usual_again", "new_usual"]
ExamplesOf = Callable[[Signal], Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Life:
    """A product's window of hours [start, end), and how long alerts last: while the leading p value is below `close_p`, and
    for at most `windows` windows, after which the unusual is the new usual."""

    product: str
    start: int
    end: int
    close_p: float
    windows: int

    def revision(
        self, before: Alert | None, signals: Sequence[Signal], examples: ExamplesOf, *, heard: bool = False
    ) -> Alert | None:
        """The next revision of the alert that is open, or of none; None when there is nothing to tell.

        `heard`: whether the source of a silence spoke in this window.
        """
        alert = self._opened(signals) if before is None else self._continued(before, signals)
        silence = before is not None and before.kind is AlertKind.SILENCE
        if alert is not None and alert.revision > self.windows and not silence:
            return self._closed(alert, "new_usual")
        if alert is not None:
            return _with_examples(alert, examples, before)
        if before is None:
            return None
        return self._closed(before, "new_usual" if silence and not heard else "usual_again")

    def _opened(self, signals: Sequence[Signal]) -> Alert | None:
        unusual = sorted((signal for signal in signals if signal.unusual), key=_most_unusual)
        if not unusual:
            return None
        leading = unusual[0]
        return Alert(
            alert_id=alert_id(self.product, leading, self.start),
            revision=1,
            status=AlertStatus.OPEN,
            product=self.product,
            kind=leading.kind,
            aspect=leading.aspect,
            source=leading.source,
            severity=_severity(leading),
            window_start=moment_of(self.start),
            window_end=moment_of(self.end),
            signals=tuple(unusual),
        )

    def _continued(self, alert: Alert, signals: Sequence[Signal]) -> Alert | None:
        """None when the window is usual again."""
        leading = next((signal for signal in signals if _name(signal) == _name(alert.leading)), None)
        unusual = [signal for signal in signals if signal.unusual]
        if not unusual and (leading is None or leading.p_value > self.close_p):
            return None
        seen = {_name(signal): signal for signal in alert.signals}
        for signal in (*unusual, *([leading] if leading else [])):
            before = seen.get(_name(signal))
            if before is None or signal.p_value < before.p_value:
                seen[_name(signal)] = signal
        first, *others = seen.values()
        update = {
            "revision": alert.revision + 1,
            "signals": (first, *sorted(others, key=_most_unusual)),
            "severity": _severity(first),
            "window_end": moment_of(self.end),
        }
        return alert.model_copy(update=update)

    def _closed(self, alert: Alert, because: Because) -> Alert:
        update = {
            "revision": alert.revision + 1,
            "status": AlertStatus.CLOSED,
            "closed_at": moment_of(self.end),
            "closed_because": because,
        }
        return alert.model_copy(update=update)


def _with_examples(alert: Alert, examples: ExamplesOf, before: Alert | None) -> Alert:
    """With texts behind its leading signal, from the window in which that was most unusual."""
    if before is not None and before.leading == alert.leading:
        return alert
    return alert.model_copy(update={"examples": tuple(examples(alert.leading))[:EXAMPLES]})


def alert_id(product: str, leading: Signal, start: int) -> str:
    """The same whoever makes the alert, however often."""
    told = "\0".join((product, str(leading.kind), leading.aspect, leading.source, str(start)))
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _name(signal: Signal) -> tuple[str, str, str]:
    return signal.kind, signal.aspect, signal.source


def _most_unusual(signal: Signal) -> tuple[float, str, str, str]:
    return signal.p_value, *_name(signal)


def _severity(leading: Signal) -> Literal["medium", "high"]:
    return "high" if leading.p_value * HIGH < leading.level else "medium"
