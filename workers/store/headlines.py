"""Generated headlines in ClickHouse: which rows are to get one, and what became of each that was written."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings, HeadlineSettings
from workers.store.connect import explain
from workers.store.query import Reader
from workers.store.rows import INSIGHT_COLUMNS, JUDGED, WORD
from workers.store.selection import Row

ITS_OWN_CHARS: Final = 120  # a text as short as a headline may be needs none, however urgent
_NAMES: Final = (*(column.name for column in INSIGHT_COLUMNS), JUDGED[0])
_WANTED = """
FROM insights
LEFT ANTI JOIN
(
    SELECT source, event_id, content_hash FROM headlines FINAL
    WHERE generator = {generator:String} AND generator_version = {version:String} AND startsWith(outcome, 'refused')
) AS refused USING (source, event_id, content_hash)
WHERE method != 'abstractive' AND (title = '' OR headline != title) AND language IN {languages:Array(String)}
    AND (lengthUTF8(text) >= {min_chars:UInt32} OR (urgency >= {urgency:Float32} AND lengthUTF8(text) > {own_chars:UInt32}))
    AND event_time >= (SELECT max(event_time) FROM insights) - toIntervalDay({days:UInt32})
"""
_ORDER = " ORDER BY urgency DESC, event_time DESC, source, event_id LIMIT {most:UInt32}"


class Writing(NamedTuple):
    """A row of `headlines`: the version of an event, who wrote about it, what that took and what became of it."""

    source: str
    event_id: str
    content_hash: str
    generator: str
    generator_version: str
    tokens: int
    outcome: str


_TYPES: Final = (WORD, "String", "String", WORD, WORD, "UInt32", WORD)


class HeadlineStore:
    """Reads and writes through one client, for a generator of this name and version that writes these languages. Every
    method raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(
        self,
        client: Client,
        settings: ClickHouseSettings,
        wish: HeadlineSettings,
        generator: tuple[str, str],
        languages: Collection[str],
    ) -> None:
        self._client, self._settings = client, settings
        self._reader = Reader(client, settings)
        self._parameters: dict[str, Any] = {
            "generator": generator[0],
            "version": generator[1],
            "languages": sorted(languages),
            "min_chars": wish.min_chars,
            "urgency": wish.urgency,
            "own_chars": ITS_OWN_CHARS,
            "days": wish.lookback_days,
        }

    def wanted(self, most: int) -> list[Row]:
        """Rows that are to get a headline, the most urgent first, then the newest. None whose title is its headline, and
        none whose headline was refused."""
        names = ", ".join(f"insights.`{name}` AS `{name}`" for name in _NAMES)
        rows = self._reader.rows(f"SELECT {names}{_WANTED}{_ORDER}", self._parameters | {"most": most})
        return [dict(zip(_NAMES, row, strict=True)) for row in rows]

    def left(self) -> int:
        """How many rows are to get one."""
        return int(self._reader.rows(f"SELECT count(){_WANTED}", self._parameters)[0][0])

    def note(self, writings: Sequence[Writing]) -> None:
        """Writes what became of headlines. Doing so again changes nothing."""
        try:
            self._client.insert(
                "headlines",
                [list(writing) for writing in writings],
                column_names=list(Writing._fields),
                column_type_names=list(_TYPES),
                settings={"async_insert": 0},
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error
