"""The record of who promoted, erased, corrected, exported: rows are only added, and hold nothing about a person's texts.

Corrections are noted by a view of `feedback`, in the insert that makes them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.query import Reader

PROMOTED, ROLLED_BACK, ERASED, EXPORTED, READ = "promoted", "rolled back", "erased", "exported", "read dead letters"
RETENTION = "retention"


class Noted(NamedTuple):
    """A line of the record."""

    done_at: datetime
    who: str
    action: str
    details: dict[str, str]


def noted(reader: Reader, action: str, limit: int) -> list[Noted]:
    """The latest lines, newest first; of one action when `action` is not empty."""
    sql = (
        "SELECT done_at, who, action, details FROM audit WHERE {action:String} IN ('', action)"
        " ORDER BY done_at DESC LIMIT {limit:UInt32}"
    )
    return [Noted(*row) for row in reader.rows(sql, {"action": action, "limit": limit})]


def note(client: Client, settings: ClickHouseSettings, who: str, action: str, details: Mapping[str, str]) -> None:
    """Adds a row. Raises `StoreUnavailable` or `StoreRefused`."""
    try:
        client.insert(
            "audit",
            [[who, action, dict(details)]],
            column_names=["who", "action", "details"],
            column_type_names=[
                "LowCardinality(String)",
                "LowCardinality(String)",
                "Map(LowCardinality(String), String)",
            ],
            settings={"async_insert": 0},
        )
    except ClickHouseError as error:
        raise explain(error, settings) from error
