"""Writes blocks. One insert a block, under its deduplication token: repeating it changes nothing.

The guarantee and its conditions: https://clickhouse.com/docs/guides/developing/deduplicating-inserts-on-retries. Plain
MergeTree remembers the last `non_replicated_deduplication_window` tokens a table, the views' target tables their own; the
setting `deduplicate_blocks_in_dependent_materialized_views` carries the token on into them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.alerts import Alert
from schemas.insights import DeadLetter, Insight
from workers.settings import ClickHouseSettings
from workers.store.cluster import on_every_node
from workers.store.connect import explain
from workers.store.erased_row import ErasedRow
from workers.store.query import AT_POSITIONS, StoredVersion, at_positions, batched
from workers.store.rejudged import AT_ROWS, Rejudged, old_rows
from workers.store.rows import (
    ALERT_COLUMNS,
    CLAIM_COLUMNS,
    DEAD_LETTER_COLUMNS,
    EVENT_KEY_COLUMNS,
    INSIGHT_COLUMNS,
    JUDGED,
    RETRACTION_COLUMNS,
    TIME,
    WORD,
    Column,
    as_columns,
)

_INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,  # the answer must mean that the rows are there
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,  # a block of old reviews may span many months
}
_DELETE_SETTINGS: dict[str, Any] = {"lightweight_delete_mode": "lightweight_update"}


class Writer:
    """Inserts blocks through one client. Raises `StoreUnavailable` (try the same block again) or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client = client
        self._settings = settings

    def insert_insights(self, insights: Sequence[Insight], token: str, lease_until: datetime) -> None:
        """All rows of one block into `insights` and, through its views, into every aggregate."""
        self._insert("insights", *_block(INSIGHT_COLUMNS, insights), token, lease_until)

    def insert_judged_again(self, rows: Sequence[Rejudged], token: str, lease_until: datetime) -> None:
        """Rows of one page into `insights` and, through its views, into every aggregate."""
        names, types, columns = _block(INSIGHT_COLUMNS, [row.insight for row in rows])
        names, types, columns = [*names, JUDGED[0]], [*types, JUDGED[1]], [*columns, [row.judged for row in rows]]
        self._insert("insights", names, types, columns, token, lease_until)

    def insert_dead_letters(self, letters: Sequence[DeadLetter], token: str, lease_until: datetime) -> None:
        """All dead letters of one block."""
        self._insert("dead_letters", *_block(DEAD_LETTER_COLUMNS, letters), token, lease_until)

    def insert_superseded(self, versions: Sequence[StoredVersion], token: str, now: datetime) -> None:
        """Versions of events that a later message of the same block has replaced: remembered, so that a resend is known."""
        self._insert("event_keys", *_block(EVENT_KEY_COLUMNS, versions), token, ingested_at=now)

    def insert_alerts(self, alerts: Sequence[Alert], told_at: datetime) -> None:
        """Revisions of alerts, in their order; each takes the place of those told before it."""
        names, types, columns = _block(ALERT_COLUMNS, alerts)
        moments = [told_at + timedelta(milliseconds=place) for place in range(len(alerts))]
        self._insert("alerts", [*names, "raised_at"], [*types, TIME], [*columns, moments], "")

    def insert_page(self, page: str, rows: Sequence[Rejudged], lease_until: datetime) -> None:
        """A page of rows that were judged again, to be written afterwards. It is there wholly, or not at all."""
        names, types = (
            ["page", "source", "event_id", JUDGED[0], "insight", "topic_vector"],
            ["String", WORD, "String", JUDGED[1], "String", "Array(Int8)"],
        )
        columns: list[Sequence[Any]] = [
            [page] * len(rows),
            [row.insight.source for row in rows],
            [row.insight.event_id for row in rows],
            [row.judged for row in rows],
            [row.insight.model_dump_json() for row in rows],
            [row.insight.topic_vector for row in rows],
        ]
        self._insert("pages", names, types, columns, "", lease_until)

    def insert_erased_page(self, page: str, rows: Sequence[ErasedRow], lease_until: datetime) -> None:
        """A page of rows to be erased. It is there wholly, or not at all."""
        names, types = (
            ["page", "source", "event_id", JUDGED[0], "insight", "erased"],
            ["String", WORD, "String", JUDGED[1], "String", "Bool"],
        )
        columns: list[Sequence[Any]] = [
            [page] * len(rows),
            [row.source for row in rows],
            [row.event_id for row in rows],
            [row.judged for row in rows],
            [row.to_json() for row in rows],
            [True] * len(rows),
        ]
        self._insert("pages", names, types, columns, "", lease_until)

    def insert_receipts(self, receipts: Sequence[str], parts: int = 0) -> None:
        """From now on what these stand for is turned away. `parts`: inserts of which the tables will keep no line."""
        columns: list[Sequence[Any]] = [list(receipts), [parts] * len(receipts)]
        self._insert("erasures", ["receipt", "parts"], ["String", "UInt64"], columns, "")

    def insert_removed_until(self, moments: Mapping[str, datetime]) -> None:
        """From now on texts of these sources that were taken in before these moments are over."""
        columns: list[Sequence[Any]] = [list(moments), list(moments.values())]
        self._insert("retention", ["source", "removed_until"], [WORD, TIME], columns, "")

    def drop_page(self, page: str) -> None:
        """Forgets a page that is written."""
        self.command(self._everywhere(f"ALTER TABLE pages DROP PARTITION '{page}'"), {})

    def insert_page_claims(
        self, page: str, keys: Sequence[tuple[str, str]], until: datetime, *, released: bool = False
    ) -> None:
        """Claims the events (source, id) for a page, or releases its claim."""
        names = ["source", "event_id", "page", "until", "released"]
        columns: list[Sequence[Any]] = [list(column) for column in zip(*keys, strict=True)]
        columns += [[page] * len(keys), [until] * len(keys), [released] * len(keys)]
        self._insert("claims", names, [WORD, "String", "String", TIME, "Bool"], columns, "")

    def insert_claims(self, updates: Sequence[StoredVersion]) -> None:
        """Claims the events for the updates at these positions."""
        names, types, columns = _block(CLAIM_COLUMNS, updates)
        self._insert("claims", names, types, columns, "")

    def insert_retractions(
        self, rows: Sequence[Sequence[Any]], token: str, lease_until: datetime, now: datetime, reason: str = "updated"
    ) -> None:
        """Takes the figures of rows (values of RETRACTION_COLUMNS) off the aggregates, through the table's views."""
        if not rows:
            return
        names, types = zip(*RETRACTION_COLUMNS, strict=True)
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._insert(
            "retractions",
            [*names, "reason", "retracted_at"],
            [*types, "LowCardinality(String)", TIME],
            [*columns, [reason] * len(rows), [now] * len(rows)],
            token,
            lease_until,
        )

    def delete_versions(self, versions: Sequence[StoredVersion]) -> None:
        """Removes the rows of replaced versions and their aspect mentions. Doing so again changes nothing."""
        for some in batched(versions, 200):
            self._delete([version.event_time for version in some], AT_POSITIONS, at_positions(some))

    def delete_judged_again(self, rows: Sequence[Rejudged | ErasedRow]) -> None:
        """Removes the rows whose place these have taken, or which are to be erased, and their aspect mentions. Doing so
        again changes nothing."""
        for some in batched(rows, 200):
            self._delete([row.event_time for row in some], AT_ROWS, old_rows(some))

    def _delete(self, moments: Sequence[datetime], condition: str, parameters: dict[str, Any]) -> None:
        """Writes patch parts, of the months of these moments only; over when the rows are hidden."""
        utc = [moment.astimezone(UTC) for moment in moments]
        months = sorted({moment.year * 100 + moment.month for moment in utc})
        for table in ("insights", "aspect_mentions"):
            sql = f"DELETE FROM {table} WHERE toYYYYMM(event_time) IN {{months:Array(UInt32)}} AND {condition}"  # noqa: S608
            self.delete(sql, parameters | {"months": months})

    def delete(self, sql: str, parameters: dict[str, Any]) -> None:
        """A DELETE of ours, by a patch part."""
        self.command(self._everywhere(sql), parameters, _DELETE_SETTINGS)

    def _everywhere(self, sql: str) -> str:
        cluster = self._settings.cluster
        return on_every_node(sql, cluster) if cluster else sql

    def command(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any] | None = None) -> None:
        """A statement of ours that gives no rows."""
        try:
            self._client.command(sql, parameters=parameters, settings=settings)
        except ClickHouseError as error:
            raise explain(error, self._settings) from error

    def _insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
        token: str,
        lease_until: datetime | None = None,
        ingested_at: datetime | None = None,
    ) -> None:
        rows = len(columns[0])
        if not rows:
            return
        for name, moment in (("lease_until", lease_until), ("ingested_at", ingested_at)):
            if moment is not None:
                names, types, columns = [*names, name], [*types, TIME], [*columns, [moment] * rows]
        try:
            self._client.insert(
                table,
                columns,
                column_names=names,
                column_type_names=types,
                column_oriented=True,
                settings=self._insert_settings(token),
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error

    def _insert_settings(self, token: str) -> dict[str, Any]:
        return _INSERT_SETTINGS | ({"insert_deduplication_token": token} if token else {})


def _block(columns: Sequence[Column], rows: Sequence[Any]) -> tuple[list[str], list[str], list[list[Any]]]:
    """Names, types and values of a block of rows."""
    return [column.name for column in columns], [column.type for column in columns], as_columns(columns, rows)
