"""The tables remember as many inserts as the settings say; a worker does not start on tables that remember fewer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from workers.commands.doctor import CHECKS
from workers.embedded.clickhouse import embedded_clickhouse
from workers.errors import VoxpopError
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import StoreRefused, connect
from workers.store.migrate import migrate
from workers.store.windows import check_windows, deduplication_windows

TARGETS = {"aspect_mentions", "sentiment_hourly", "aspects_daily", "event_keys"}
REMEMBERING = {"insights", "retractions", "dead_letters"} | TARGETS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with embedded_clickhouse(tmp_path) as server:
        yield Settings(clickhouse=ClickHouseSettings(port=server.port, deduplication_window=500))


def client_of(settings: Settings) -> Client:
    return connect(settings.clickhouse)


def with_window(settings: Settings, window: int) -> Settings:
    return settings.model_copy(
        update={"clickhouse": settings.clickhouse.model_copy(update={"deduplication_window": window})}
    )


def test_a_changed_setting_reaches_every_table_and_what_was_remembered_stays(settings: Settings) -> None:
    migrate(settings)
    larger = with_window(settings, 700)
    with client_of(settings) as client:
        assert dict.fromkeys(REMEMBERING, 500).items() <= deduplication_windows(client, settings.clickhouse).items()
        row = "INSERT INTO insights (product, topic, event_time, ingested_at) SETTINGS insert_deduplication_token = 'a'"
        client.command(f"{row} VALUES ('p', 't', now(), now())")
        with pytest.raises(StoreRefused, match="voxpop migrate"):
            check_windows(deduplication_windows(client, larger.clickhouse), larger.clickhouse)
        migrate(larger)
        check_windows(deduplication_windows(client, larger.clickhouse), larger.clickhouse)
        client.command(f"{row} VALUES ('p', 't', now(), now())")
        counts = "SELECT (SELECT count() FROM insights), (SELECT sum(texts) FROM sentiment_hourly)"
        assert [tuple(found) for found in client.query(counts).result_rows] == [(1, 1)]


def test_doctor_says_when_a_lease_outlasts_what_the_tables_remember(settings: Settings) -> None:
    migrate(settings)
    tight = with_window(settings, 100)
    migrate(tight)
    with client_of(settings) as client:
        client.command(
            "INSERT INTO insights (product, topic, offset, event_time, ingested_at, lease_until)"
            " SELECT 'p', 't', number, now(), now(), now() + 1000 + number FROM numbers(60)"
        )
    with pytest.raises(VoxpopError, match="set VOXPOP_CLICKHOUSE__DEDUPLICATION_WINDOW to"):
        CHECKS["deduplication"](tight)
    with pytest.raises(VoxpopError, match="run: voxpop migrate"):
        CHECKS["deduplication"](settings)
