"""Where a product stands: its clock, the window that is next, and the alerts that are open."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from schemas.alerts import Alert
from workers.alerting.counts import Windows
from workers.alerting.text import AlertText, hour_of

HOUR_S = 3600
SPIKE = "spike"  # the family of signals that make one alert together: share, volume, urgency, aspects


class ProductState(BaseModel):
    """Hours are whole hours since 1970. `clock`: until when its texts are in. `inputs`: source topic -> (its latest hour,
    the second in which that came in); `burst_s`: the second in which they began to come. `live`: its latest text came in
    about when it was written. `next`: the beginning of the first window that was not looked at. `open`: family of alerts ->
    the open one. `closed`: spans [begin, end) of past alerts, which are not the product's usual self. `repeats`: window ->
    (largest group of near-identical texts, texts)."""

    model_config = ConfigDict(frozen=True)

    partition: int
    clock: int
    first: int
    next: int
    live: bool = False
    inputs: Mapping[str, tuple[int, int]] = {}
    burst_s: int = 0
    open: Mapping[str, Alert] = {}
    closed: tuple[tuple[int, int], ...] = ()
    repeats: Mapping[int, tuple[int, int]] = {}

    @classmethod
    def new(cls, partition: int, hour: int, windows: Windows) -> Self:
        """Of a product whose first text is of this hour."""
        return cls(partition=partition, clock=0, first=hour, next=windows.start_of(hour))

    def reaching_back(self, hour: int, windows: Windows) -> Self:
        """Until a window was looked at, a text may be older than the first that came."""
        if self.clock or hour >= self.first:
            return self
        return self.model_copy(update={"first": hour, "next": windows.start_of(hour)})

    def heard(self, text: AlertText, lateness_hours: int, settle_s: int) -> Self:
        """With the text's topic that far."""
        now_s, latest_s = text.arrived_s, self.latest_s
        hour, heard_s = self.inputs.get(text.topic, (0, 0))
        written = min(text.hour, now_s // HOUR_S)
        if written <= hour and now_s - heard_s < settle_s / 4:
            return self  # nothing that is worth remembering
        update = {
            "inputs": {**self.inputs, text.topic: (max(hour, written), max(now_s, heard_s))},
            "burst_s": now_s if now_s - latest_s >= settle_s else self.burst_s,
            "live": now_s // HOUR_S - text.hour <= lateness_hours,
        }
        return self.model_copy(update=update)

    def at(self, now_s: int, settle_s: int) -> Self:
        """With its clock as it is in second `now_s`.

        Old texts come as fast as they can be read, a topic's reviews before another's posts of the same day. So the clock is
        that of the topic that is furthest behind, among those from which texts still come, and stands still until that can
        be told. When nothing comes any more it is the latest text's; of a live product it goes on from there.
        """
        hours = [hour for hour, heard_s in self.inputs.values() if now_s - heard_s < settle_s]
        if not hours:
            clock = now_s // HOUR_S if self.live else max((hour for hour, _ in self.inputs.values()), default=0)
        elif self.live or now_s - self.burst_s >= settle_s:
            clock = min(hours)
        else:
            return self
        return self.model_copy(update={"clock": clock}) if clock > self.clock else self

    @property
    def latest_s(self) -> int:
        """The second in which its latest text came in."""
        return max((heard_s for _, heard_s in self.inputs.values()), default=0)

    def usual(self, begin: int) -> bool:
        """Whether the window that begins there may be compared with: no spike was open in it."""
        spike = self.open.get(SPIKE)
        if spike is not None and begin >= hour_of(spike.window_start):
            return False
        return not any(first <= begin < end for first, end in self.closed)

    def with_open(self, family: str, alert: Alert) -> Self:
        return self.model_copy(update={"open": {**self.open, family: alert}})

    def without(self, family: str, *, unusual: bool = False) -> Self:
        """After the alert has closed. `unusual`: its windows are not to be compared with."""
        alert = self.open[family]
        spans = self.closed
        if unusual:
            spans = (*spans, (hour_of(alert.window_start), hour_of(alert.window_end)))[-100:]
        still = {name: other for name, other in self.open.items() if name != family}
        return self.model_copy(update={"open": still, "closed": spans})

    def with_repeats(self, begin: int, largest: tuple[int, int], oldest: int) -> Self:
        """With the window's, and without those before `oldest`."""
        kept = {window: pair for window, pair in self.repeats.items() if window >= oldest}
        return self.model_copy(update={"repeats": {**kept, begin: largest}})
