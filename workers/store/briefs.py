"""What a week's brief may rest on, and the briefs themselves, in ClickHouse.

A statement is a sentence of a digest, or figures put into words: each piece between commas stands for itself, so that it
can be looked for word by word in what is said of it.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.query import EventKey, Reader, batched
from workers.store.rows import TIME, WORD
from workers.store.written_days import ProductDay

ASPECTS: Final = 3  # of a product: those most complained of
_WEEK = "day >= {start:Date} AND day < {start:Date} + 7"
_FIGURES = """
SELECT product, sumIf(volume, this) AS texts, sumIf(v.negative, this), sumIf(v.positive, this), sumIf(v.urgent, this),
    sumIf(volume, NOT this), sumIf(v.negative, NOT this)
FROM
(
    SELECT *, day >= {start:Date} AS this FROM v_product_daily
    WHERE day >= {start:Date} - 7 AND day < {start:Date} + 7
) AS v
WHERE empty({products:Array(String)}) OR has({products:Array(String)}, product)
GROUP BY product HAVING texts > 0 ORDER BY texts DESC, product
"""
_ASPECTS = f"""
SELECT product, aspect, sum(a.mentions) AS mentioned, sum(a.negative) AS against
FROM aspects_daily AS a WHERE {_WEEK}
GROUP BY product, aspect HAVING against > 0 ORDER BY product, against DESC, aspect LIMIT {ASPECTS} BY product
"""  # noqa: S608
_DIGESTS = """
SELECT product, toDate(window_start), sentence, event_ids, sources
FROM v_digests
WHERE toDate(window_start) >= {start:Date} AND window_end <= toDateTime({start:Date} + 7, 'UTC')
    AND window_end = window_start + toIntervalDay(1)
ORDER BY product, support DESC, window_start, place, pack_version
LIMIT 1 BY product, sentence
"""
_EVENTS = """
SELECT DISTINCT cityHash64(source, event_id)
FROM insights
WHERE toDate(event_time) >= {start:Date} AND toDate(event_time) < {start:Date} + 7
    AND (empty({products:Array(String)}) OR has({products:Array(String)}, product))
"""
_DAYS = """
SELECT DISTINCT source, event_id, product, toDate(event_time)
FROM insights
WHERE (source, event_id) IN {keys:Array(Tuple(String, String))}
"""


class Statement(NamedTuple):
    """A digest's sentence of a day with the events that it rests on, or figures of the week, which name no event."""

    product: str
    text: str
    day: date | None
    events: tuple[EventKey, ...]

    @property
    def is_figure(self) -> bool:
        return self.day is None


class BriefRow(NamedTuple):
    """A brief as it is stored: each sentence with its product, its statements, its support, and whether it is quoted."""

    week: str
    start: date
    products: Sequence[str]
    sentences: Sequence[tuple[str, str, Sequence[Statement], float, bool]]
    model: str
    pack: str
    pack_version: str
    cost: float


class BriefStore:
    """Reads and writes through one client. Every method raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client, self._settings = client, settings
        self._reader = Reader(client, settings)

    def statements(self, start: date, products: Sequence[str]) -> dict[str, list[Statement]]:
        """By product, the one with most texts first: what is known of the week that begins on that Monday, the figures
        first, then the digests' sentences, the best supported first. Of all products when none is named."""
        week = {"start": start.isoformat()}
        found: dict[str, list[Statement]] = {}
        for product, *figures in self._reader.rows(_FIGURES, week | {"products": list(products)}):
            found[product] = [Statement(product, text, None, ()) for text in _told(*map(int, figures))]
        for product, aspect, mentions, negative in self._reader.rows(_ASPECTS, week):
            if product in found:
                said = f"{counted(mentions, 'mention')}, {counted(negative, 'negative mention')}"
                text = f"Of {aspect.replace('_', ' ')}: {said}."
                found[product].append(Statement(product, text, None, ()))
        for product, day, sentence, ids, sources in self._reader.rows(_DIGESTS, week):
            if product in found:
                events = tuple(map(EventKey, sources, ids))
                found[product].append(Statement(product, sentence, day, events))
        return found

    def events(self, start: date, products: Sequence[str]) -> set[int]:
        """The events whose texts lie in the week, as hashes; of all products when none is named."""
        found = self._reader.rows(_EVENTS, {"start": start.isoformat(), "products": list(products)})
        return {event for (event,) in found}

    def days(self, row: BriefRow) -> set[ProductDay]:
        """The week's days of the brief's products, and those in which texts lie that it cites."""
        week = {ProductDay(product, row.start + timedelta(days=n)) for product in row.products for n in range(7)}
        return week.union(*self._days_of_cited(row).values())

    def still_there(self, row: BriefRow, events: set[int], days: Collection[ProductDay]) -> bool:
        """Whether all that the brief rests on is there: these events of the week, each digest's sentence that it cites, and
        each text that those cite, in one of these days."""
        if not events <= self.events(row.start, row.products):
            return False
        there = {said for known in self.statements(row.start, row.products).values() for said in known}
        cited = {statement for _, _, statements, *_ in row.sentences for statement in statements}
        if any(not statement.is_figure for statement in cited - there):
            return False
        return all(found and found <= set(days) for found in self._days_of_cited(row).values())

    def _days_of_cited(self, row: BriefRow) -> dict[EventKey, set[ProductDay]]:
        """Where the rows of each cited event lie; nowhere when there is none."""
        cited = {event for _, _, statements, *_ in row.sentences for said in statements for event in said.events}
        found: dict[EventKey, set[ProductDay]] = {event: set() for event in cited}
        for some in batched(sorted(cited), 200):
            for source, event_id, product, day in self._reader.rows(_DAYS, {"keys": [tuple(key) for key in some]}):
                found[EventKey(source, event_id)].add(ProductDay(product, day))
        return found

    def insert(self, row: BriefRow, lease_until: datetime) -> None:
        """Adds a brief. Raises `LeaseEnded` when ClickHouse has it later than that."""
        start = datetime(row.start.year, row.start.month, row.start.day, tzinfo=UTC)
        events = [[event for statement in said[2] for event in statement.events] for said in row.sentences]
        columns: dict[str, tuple[str, Any]] = {
            "week": (WORD, row.week),
            "window_start": ("DateTime('UTC')", start),
            "window_end": ("DateTime('UTC')", start + timedelta(days=7)),
            "products": ("Array(String)", list(row.products)),
            "product_of": ("Array(String)", [said[1] for said in row.sentences]),
            "sentences": ("Array(String)", [said[0] for said in row.sentences]),
            "statements": ("Array(Array(String))", [[s.text for s in said[2]] for said in row.sentences]),
            "citations": ("Array(Array(String))", [[event.event_id for event in cited] for cited in events]),
            "cited_sources": ("Array(Array(String))", [[event.source for event in cited] for cited in events]),
            "support": ("Array(Float32)", [said[3] for said in row.sentences]),
            "quoted": ("Array(Bool)", [said[4] for said in row.sentences]),
            "model": (WORD, row.model),
            "pack": (WORD, row.pack),
            "pack_version": (WORD, row.pack_version),
            "cost": ("Float64", row.cost),
            "created_at": (TIME, datetime.now(UTC)),
            "lease_until": (TIME, lease_until),
        }
        try:
            self._client.insert(
                "briefs",
                [[value for _, value in columns.values()]],
                column_names=list(columns),
                column_type_names=[kind for kind, _ in columns.values()],
                settings={"async_insert": 0},
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error


def counted(count: int, what: str = "text") -> str:
    """1 text, 2 texts."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def _told(texts: int, negative: int, positive: int, urgent: int, before: int, negative_before: int) -> Iterator[str]:
    """A product's figures of the week, and how they were in the week before, in words."""
    now, content = round(100 * negative / texts), round(100 * positive / texts)
    yield f"{counted(texts)}, {now} % negative, {content} % positive, {counted(urgent, 'urgent text')}."
    if before:
        then = round(100 * negative_before / before)
        yield f"{counted(before)} the week before, {then} % negative the week before."
        if now != then:
            way = "up" if now > then else "down"
            yield f"The negative share is {way} from {then} % to {now} %."
