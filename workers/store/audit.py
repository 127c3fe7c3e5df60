"""The record of who promoted, erased, corrected, exported, read: rows are only added, and hold nothing of a person's texts.

Corrections are noted by a view of `feedback`, in the insert that makes them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.query import Reader
from workers.store.rows import TIME, WORD

PROMOTED, ROLLED_BACK, ERASED, EXPORTED, READ = "promoted", "rolled back", "erased", "exported", "read dead letters"
RETENTION, TEXTS_READ, REFUSED = "retention", "read", "refused"

_TYPES: Final = {"who": WORD, "action": WORD, "details": f"Map({WORD}, String)"}


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
    _insert(client, settings, _TYPES, [[who, action, dict(details)]])


def note_all(client: Client, settings: ClickHouseSettings, lines: Sequence[Noted]) -> None:
    """Adds rows that say themselves when it was. Raises `StoreUnavailable` or `StoreRefused`."""
    _insert(client, settings, {"done_at": TIME, **_TYPES}, [[*line[:3], dict(line.details)] for line in lines])


def _insert(client: Client, settings: ClickHouseSettings, types: Mapping[str, str], rows: list[list[Any]]) -> None:
    try:
        client.insert(
            "audit",
            rows,
            column_names=list(types),
            column_type_names=list(types.values()),
            settings={"async_insert": 0},
        )
    except ClickHouseError as error:
        raise explain(error, settings) from error
