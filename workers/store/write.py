"""Writes blocks. One insert a block, under its deduplication token: repeating it changes nothing.

The guarantee and its conditions: https://clickhouse.com/docs/guides/developing/deduplicating-inserts-on-retries. Plain
MergeTree remembers the last `non_replicated_deduplication_window` tokens a table, the views' target tables their own; the
setting `deduplicate_blocks_in_dependent_materialized_views` carries the token on into them.
"""

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.insights import DeadLetter, Insight
from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.rows import DEAD_LETTER_COLUMNS, INSIGHT_COLUMNS, Column, as_columns

_INSERT_SETTINGS: dict[str, Any] = {
    "async_insert": 0,  # the answer must mean that the rows are there
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,  # a block of old reviews may span many months
}


class Writer:
    """Inserts blocks through one client. Raises `StoreUnavailable` (try the same block again) or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client = client
        self._settings = settings

    def insert_insights(self, insights: Sequence[Insight], token: str) -> None:
        """All rows of one block into `insights` and, through its views, into every aggregate."""
        self._insert("insights", INSIGHT_COLUMNS, insights, token)

    def insert_dead_letters(self, letters: Sequence[DeadLetter], token: str) -> None:
        """All dead letters of one block."""
        self._insert("dead_letters", DEAD_LETTER_COLUMNS, letters, token)

    def _insert(self, table: str, columns: Sequence[Column], rows: Sequence[Any], token: str) -> None:
        if not rows:
            return
        try:
            self._client.insert(
                table,
                as_columns(columns, rows),
                column_names=[column.name for column in columns],
                column_type_names=[column.type for column in columns],
                column_oriented=True,
                settings=_INSERT_SETTINGS | {"insert_deduplication_token": token},
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error
