"""How many inserts each table remembers, so that a repeated one is recognised; whether that is as many as is asked for."""

import re
from collections.abc import Mapping

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.cluster import LOCAL, on_every_node
from workers.store.connect import StoreRefused, explain

_WINDOW = re.compile(r"\b((?:non_)?replicated_deduplication_window) = ([1-9]\d*)")


def deduplication_windows(client: Client, settings: ClickHouseSettings) -> dict[str, int]:
    """Table -> inserts that it remembers, of the tables that remember any. Raises `StoreUnavailable` or `StoreRefused`."""
    sql = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    try:
        rows = client.query(sql).result_rows
    except ClickHouseError as error:
        raise explain(error, settings) from error
    found = {str(name): _WINDOW.search(str(query)) for name, query in rows}
    return {name.removesuffix(LOCAL): int(match[2]) for name, match in found.items() if match}


def resize_windows(client: Client, settings: ClickHouseSettings) -> list[str]:
    """Makes every table remember as many as the settings ask for; the tables changed. Raises like the above."""
    wanted = settings.deduplication_window
    changed = [name for name, window in deduplication_windows(client, settings).items() if window != wanted]
    for name in changed:
        try:
            client.command(_resize(name, settings.cluster, wanted))
        except ClickHouseError as error:
            raise explain(error, settings) from error
    return changed


def _resize(table: str, cluster: str | None, window: int) -> str:
    if cluster is None:
        return f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = {window}"
    return on_every_node(f"ALTER TABLE {table} MODIFY SETTING replicated_deduplication_window = {window}", cluster)


def check_windows(windows: Mapping[str, int], settings: ClickHouseSettings) -> None:
    """Raises `StoreRefused` when a table remembers fewer parts than the settings say, or none."""
    wanted = settings.deduplication_window
    short = sorted(name for name, window in windows.items() if window < wanted)
    if "insights" not in windows or short:
        raise StoreRefused(
            f"{', '.join(short) or 'insights'} remembers fewer than {wanted:,} inserts, so a repeated block could count"
            " twice; run: voxpop migrate"
        )


def busiest_parts_a_second(client: Client, settings: ClickHouseSettings) -> float:
    """The most parts a second that `insights` was given over ten seconds of the last day; 0 when it was given none."""
    sql = (
        "SELECT max(parts) / 10 FROM"
        " (SELECT uniqExact(topic, topic_id, partition, if(judged = 0, lease_until, ingested_at), toYYYYMM(event_time))"
        "  AS parts FROM insights"
        "  WHERE ingested_at > now() - INTERVAL 1 DAY GROUP BY toStartOfInterval(ingested_at, INTERVAL 10 SECOND))"
    )
    try:
        return float(next(iter(client.query(sql).result_rows))[0] or 0)
    except ClickHouseError as error:
        raise explain(error, settings) from error
