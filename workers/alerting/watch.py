"""Watches the texts of products over event time: what is counted, when a window is looked at, which alerts come of it.

Each product has a clock in event time (`ProductState.at`). A window is looked at once, when the clock is `lateness_hours`
past its end, so the same texts give the same alerts whenever they are read: live, after a crash, or years later.

Everything lives in three tables (mappings that a changelog may stand behind), and what `take` writes there may be written
again: a text is kept under its event's key, so a resend, an update, and a message read twice count once.
"""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.alerts import Alert, AlertKind, AlertStatus, Example, Signal
from workers.alerting.counts import DAY, Counts, Windows
from workers.alerting.life import EXAMPLES, Life
from workers.alerting.product import SPIKE, ProductState
from workers.alerting.signals import KINDS, Limits, campaign, silences, spikes
from workers.alerting.text import AlertText, from_record
from workers.settings import AlertSettings

Table = MutableMapping[str, Any]
SEPARATOR = "\x1f"
LASTS_AT_MOST = 2  # times `min_windows`: what is unusual for so long is the new usual


@dataclass(frozen=True, slots=True)
class Tables:
    """`texts`: product and event -> a text of the latest windows. `hours`: product and hour -> its counts, once its window
    was looked at. `products`: product -> its state."""

    texts: Table
    hours: Table
    products: Table


@dataclass(slots=True)
class Step:
    """What a text or the passing of time leads to. Tell `alerts` before `Watch.settle` remembers that they were told."""

    alerts: list[Alert] = field(default_factory=list)
    states: dict[str, ProductState] = field(default_factory=dict)
    late: bool = False


class Watch:
    """For the products of one partition, in one thread."""

    def __init__(self, settings: AlertSettings, tables: Tables, partition: int = 0) -> None:
        self._settings = settings
        self._tables = tables
        self._partition = partition
        self._windows = Windows(settings.window_hours, settings.history_days * DAY)
        self._keep = 2 * settings.window_hours  # hours before a window's end whose texts are still told apart
        self._texts: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._hours: dict[str, set[int]] = defaultdict(set)
        self._states: dict[str, ProductState] = {}
        self._minute = 0
        self._load()

    def _load(self) -> None:
        for product, record in self._tables.products.items():
            state = ProductState.model_validate(record)
            if state.partition == self._partition:
                self._states[product] = state
        for key, record in self._tables.texts.items():
            product = key.split(SEPARATOR)[0]
            if product in self._states:
                self._texts[product][record["hour"]].add(key)
        for key in self._tables.hours:
            product, hour = key.split(SEPARATOR)
            if product in self._states:
                self._hours[product].add(int(hour))

    def take(self, text: AlertText) -> Step:
        """Counts a text and looks at the windows that are over now. Call `settle` with what it gives."""
        state = self._states.get(text.product) or ProductState.new(self._partition, text.hour, self._windows)
        late = text.hour < state.clock - self._settings.lateness_hours - self._keep
        step = Step(late=late)
        if not late:
            state = state.reaching_back(text.hour, self._windows)
            self._keep_text(text, state)
        heard = state.heard(text, self._settings.lateness_hours, self._settings.settle_s)
        self._move(text.product, heard, text.arrived_s, step)
        minute = text.arrived_s // 60
        if minute > self._minute:
            self._minute = minute
            self._follow(text.arrived_s, step)
        return step

    def tick(self, now_s: int) -> Step:
        """Nothing has come in for `settle_s` seconds, until second `now_s`. Call `settle` with what it gives."""
        step = Step()
        self._follow(now_s, step)
        return step

    def hurry(self) -> Step:
        """Nothing more will come: as if nothing had come in for `settle_s` seconds. Call `settle` with what it gives."""
        step = Step()
        for product, state in self._states.items():
            self._move(product, state, state.latest_s + self._settings.settle_s, step)
        return step

    def settle(self, step: Step) -> None:
        """Remembers where products stand, and forgets what no later window needs."""
        for product, state in step.states.items():
            self._states[product] = state
            self._tables.products[product] = state.model_dump(mode="json")
            self._forget(product, state)

    def _follow(self, now_s: int, step: Step) -> None:
        """The clocks of products from which nothing comes at present."""
        for product, state in self._states.items():
            if now_s - state.latest_s >= self._settings.settle_s:
                self._move(product, step.states.get(product, state), now_s, step)

    def _move(self, product: str, state: ProductState, now_s: int, step: Step) -> None:
        """The product's state in second `now_s`, after every window that is over then."""
        moved = self._look(product, state.at(now_s, self._settings.settle_s), step)
        if moved is not self._states.get(product):
            step.states[product] = moved

    # --- texts ---------------------------------------------------------------------------------------------------------

    def _keep_text(self, text: AlertText, state: ProductState) -> None:
        """In place of an earlier version of its event. Hours of windows that were looked at are counted again."""
        key = f"{text.product}{SEPARATOR}{text.key}"
        old = self._tables.texts.get(key)
        held = self._texts[text.product]
        if old is not None:
            held[old["hour"]].discard(key)
        held[text.hour].add(key)
        self._tables.texts[key] = text.as_record()
        for hour in {text.hour, old["hour"] if old is not None else text.hour}:
            if hour < state.next:
                self._count(text.product, hour)

    def _texts_of(self, product: str, hour: int) -> Iterator[AlertText]:
        for key in self._texts[product].get(hour, ()):
            yield from_record(product, key, self._tables.texts[key])

    def _count(self, product: str, hour: int) -> None:
        counts = Counts.of(self._texts_of(product, hour))
        if counts.texts or hour in self._hours[product]:
            self._hours[product].add(hour)
            self._tables.hours[f"{product}{SEPARATOR}{hour}"] = counts.as_record()

    def _forget(self, product: str, state: ProductState) -> None:
        held = self._texts[product]
        for hour in [hour for hour in held if hour < state.next - self._keep]:
            for key in held.pop(hour):
                self._tables.texts.pop(key, None)
        hours = self._hours[product]
        for hour in [hour for hour in hours if hour < state.next - self._windows.history_hours - self._windows.period]:
            hours.discard(hour)
            self._tables.hours.pop(f"{product}{SEPARATOR}{hour}", None)

    # --- windows -------------------------------------------------------------------------------------------------------

    def _look(self, product: str, state: ProductState, step: Step) -> ProductState:
        """The state after every window that is over by the product's clock."""
        while state.next + self._windows.hours + self._settings.lateness_hours <= state.clock:
            ahead = self._next_text(product, state)
            if ahead - state.next > self._windows.history_hours + self._windows.period and not state.open:
                anew = self._windows.start_of(ahead)  # by then nothing of the past is left to compare with
                state = state.model_copy(update={"first": anew, "next": anew})
            else:
                state = self._look_at(product, state, step)
        return state

    def _next_text(self, product: str, state: ProductState) -> int:
        """The hour of the first text that was not looked at; the clock's when there is none."""
        held = self._texts[product]
        if any(held.get(hour) for hour in range(state.next, state.next + self._windows.hours)):
            return state.next
        return min((hour for hour, keys in held.items() if keys and hour >= state.next), default=state.clock)

    def _look_at(self, product: str, state: ProductState, step: Step) -> ProductState:
        start, end = state.next, state.next + self._settings.window_hours
        for hour in range(start, end):
            self._count(product, hour)
        hours = {
            hour: Counts.from_record(self._tables.hours[f"{product}{SEPARATOR}{hour}"])
            for hour in self._hours[product]
            if start - self._windows.history_hours - self._windows.period <= hour < end
        }
        past = [begin for begin in self._windows.past(start, state.first) if state.usual(begin)]
        texts = [text for hour in range(start, end) for text in self._texts_of(product, hour)]
        limits = self._limits(product)
        now = self._windows.counts(start, hours)
        repeated, group = campaign(texts, [state.repeats[begin] for begin in past if begin in state.repeats], limits)
        found: dict[str, list[Signal]] = {
            SPIKE: spikes(now, [self._windows.counts(begin, hours) for begin in past], limits),
            "campaign": [repeated] if repeated else [],
        }
        for silence in silences(hours, state.first, end, self._windows, limits):
            found[f"silence{SEPARATOR}{silence.source}"] = [silence]

        def examples(signal: Signal) -> list[Example]:
            return _examples(signal, group if signal.kind is AlertKind.CAMPAIGN else texts)

        told_apart = sum(text.simhash is not None for text in texts)
        state = state.with_repeats(start, (len(group), told_apart), start - self._windows.history_hours)
        life = Life(product, start, end, self._settings.close_p, LASTS_AT_MOST * self._settings.min_windows)
        for family in sorted({*found, *state.open}):
            before = state.open.get(family)
            heard = before is not None and (bool(now.sources[before.source]) if before.source else bool(now.texts))
            alert = life.revision(before, found.get(family, ()), examples, heard=heard)
            state = self._live_on(state, family, alert, step)
        return state.model_copy(update={"next": end})

    def _live_on(self, state: ProductState, family: str, alert: Alert | None, step: Step) -> ProductState:
        """The state after a family's next revision: at most one alert of each family is open at a time."""
        if alert is None:
            return state
        step.alerts.append(alert)
        if alert.status is AlertStatus.OPEN:
            return state.with_open(family, alert)
        return state.without(family, unusual=family == SPIKE and alert.closed_because == "usual_again")

    def _limits(self, product: str) -> Limits:
        settings = self._settings
        products = len(self._tables.products) + (product not in self._tables.products)
        level = settings.false_alarms_per_day * settings.window_hours / DAY / products / KINDS
        return Limits(level, settings.min_texts, settings.min_windows, settings.campaign_texts)


def _examples(signal: Signal, texts: Sequence[AlertText]) -> list[Example]:
    """The texts that show most of what is unusual, in an order that does not depend on when they came."""
    if signal.aspect:
        negative_only = signal.kind is AlertKind.NEGATIVE_SHARE
        texts = [t for t in texts if (said := t.aspects.get(signal.aspect)) and (said.negative or not negative_only)]
    elif signal.kind is AlertKind.NEGATIVE_SHARE:
        texts = [text for text in texts if text.negative]
    elif signal.kind is AlertKind.URGENCY:
        texts = sorted((text for text in texts if text.urgent), key=lambda text: -text.urgency)
        return [text.example() for text in texts[:EXAMPLES]]
    return [text.example(signal.aspect) for text in sorted(texts, key=lambda t: (t.score, t.key))[:EXAMPLES]]
