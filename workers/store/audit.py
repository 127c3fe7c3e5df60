"""The record of who promoted, erased, corrected, exported: rows are only added, and hold nothing about a person's texts.

Corrections are noted by a view of `feedback`, in the insert that makes them.
"""

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain

PROMOTED, ROLLED_BACK, ERASED, EXPORTED, READ = "promoted", "rolled back", "erased", "exported", "read dead letters"


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
