"""What a cluster is given: read by ClickHouse's own parser, made by its engine as one shard, and written to by the worker.

The engine here has no Keeper, so nothing is replicated: `tests/one_shard.py` says what is left out.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.httpclient import HttpClient

from tests.by_hand import WINDOW, Rows, block, crash_after, empty, process, review, text_of
from tests.integration.conftest import Voxpop
from tests.one_shard import CLUSTER, command_without_keeper
from tests.one_shard import one_shard as one_shard_of
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.errors import VoxpopError
from workers.settings import ClickHouseSettings, Settings
from workers.store.cluster import SHARDED_BY, local, on_cluster
from workers.store.connect import connect
from workers.store.migrate import migrate, preparations, shipped_migrations
from workers.store.windows import check_windows, deduplication_windows

ON_PAPER = Settings(clickhouse=ClickHouseSettings(cluster="voxpop"))


def printed() -> list[str]:
    """Every statement of the migrations, as a cluster is given it."""
    statements = [*preparations(ON_PAPER)]
    for migration in shipped_migrations():
        statements += migration.statements(ON_PAPER)
    return statements


@pytest.fixture(scope="module")
def one_shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patching, one_shard_of(tmp_path_factory.mktemp("cluster")) as running:
        patching.setattr(HttpClient, "command", command_without_keeper)
        store = ClickHouseSettings(port=running.port, cluster=CLUSTER, deduplication_window=WINDOW)
        made = Settings(clickhouse=store)
        assert len(migrate(made)) == len(shipped_migrations())
        yield made


@pytest.fixture
def emptied(one_shard: Settings) -> Settings:
    empty(one_shard)
    return one_shard


@pytest.fixture
def rows(emptied: Settings) -> Rows:
    return Rows(emptied)


def test_every_statement_is_read_by_clickhouses_parser(server: EmbeddedClickHouse) -> None:
    statements = printed()
    with connect(ClickHouseSettings(port=server.port), database="default") as client:
        read = [client.query("SELECT formatQuery({s:String})", {"s": s}).result_rows[0][0] for s in statements]
    assert [text for text in read if "ON CLUSTER" not in text and not text.startswith("INSERT INTO")] == []
    replicated = [text for text in read if "ENGINE = Replicated" in text]
    assert len(replicated) == len(SHARDED_BY) + 1  # and the table that notes which migrations were applied
    assert [text for text in read if re.search(r"ENGINE = (?!Replicated|Distributed)", text)] == []


TABLES = (
    "SELECT name, sorting_key, partition_key, primary_key, extract(create_table_query, ' TTL (.*?) SETTINGS')"
    " FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'"
)
COLUMNS = (
    "SELECT table, name, type, default_kind, default_expression, compression_codec FROM system.columns"
    " WHERE database = currentDatabase() ORDER BY table, position"
)


def test_every_table_has_a_local_one_like_it_and_one_over_all_shards(one_shard: Settings, migrated: Settings) -> None:
    alone, shared = Rows(migrated), Rows(one_shard)
    of_one = {name: tuple(rest) for name, *rest in alone.select(TABLES)}
    assert {name: tuple(rest) for name, *rest in shared.select(TABLES)} == {local(n): r for n, r in of_one.items()}
    distributed = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'Distributed'"
    assert {name for (name,) in shared.select(distributed)} == of_one.keys() == SHARDED_BY.keys()

    def columns(rows: Rows, table: str, fields: slice) -> list[tuple[Any, ...]]:
        return [row[fields] for row in rows.select(COLUMNS) if row[0] == table]

    for name in of_one:
        assert columns(shared, local(name), slice(1, None)) == columns(alone, name, slice(1, None)), name
        assert columns(shared, name, slice(1, 5)) == columns(alone, name, slice(1, 5)), name


def test_constraints_indexes_and_windows_are_those_of_one_node(one_shard: Settings, migrated: Settings) -> None:
    words = (
        r"CONSTRAINT \w+ CHECK [^,]+|INDEX \w+ \([^)]*\) TYPE \w+|enable_block_\w+ = \d|deduplication_window = [1-9]\d*"
    )

    def facts(rows: Rows, table: str) -> set[str]:
        told = (
            "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
        )
        ((made,),) = rows.reader.rows(told, {"name": table})
        return set(re.findall(words, made))

    alone, shared = Rows(migrated), Rows(one_shard)
    for name in SHARDED_BY:
        assert facts(shared, local(name)) == facts(alone, name), name
    assert len(facts(alone, "insights")) == 5


def test_people_read_all_shards_and_what_feeds_aggregates_stays_on_one() -> None:
    for statement in printed():
        if re.match(r"CREATE (OR REPLACE )?VIEW", statement):
            assert "_local" not in statement
        if statement.startswith("CREATE MATERIALIZED VIEW"):
            sources = re.findall(r"\b(?:FROM|(?<!ARRAY )JOIN|TO)\s+([a-z]\w+)", statement)
            assert len(sources) >= 2
            assert [name for name in sources if not name.endswith("_local")] == []


def test_what_replaces_one_another_lies_on_one_shard(one_shard: Settings) -> None:
    """Whatever a shard is told by is in the sorting key, so that rows of one key meet."""
    keys = "SELECT name, sorting_key FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    sorted_by = {name.removesuffix("_local"): key.split(", ") for name, key in Rows(one_shard).select(keys)}
    for name, sharded_by in SHARDED_BY.items():
        assert set(re.findall(r"\w+", sharded_by)[1:]) <= set(sorted_by[name]), name


def test_a_statement_of_a_new_kind_is_refused_until_a_cluster_has_a_word_for_it() -> None:
    for unknown in ("RENAME TABLE a TO b", "CREATE TABLE IF NOT EXISTS insights\n(a Int8)\nENGINE = Log"):
        with pytest.raises(VoxpopError, match="not known on a cluster"):
            on_cluster(unknown, "voxpop", "voxpop")
    with pytest.raises(VoxpopError, match="has no sharding key"):
        on_cluster("CREATE TABLE IF NOT EXISTS news\n(a Int8)\nENGINE = MergeTree\nORDER BY a", "voxpop", "voxpop")


def test_a_repeated_block_and_a_resend_count_once_through_the_distributed_tables(emptied: Settings, rows: Rows) -> None:
    process(emptied, block(0, 30), block(0, 30, repeated=True))
    rows.assert_are_reviews(range(30))
    process(emptied, block(30, 60, {n + 30: review(n) for n in range(30)}))
    rows.assert_are_reviews(range(30))
    assert rows.select("SELECT sum(volume) FROM v_product_daily") == [(30,)]


@pytest.mark.parametrize("step", ["insert_retractions", "insert_insights", "delete_versions"])
def test_an_update_that_crashed_after_any_step_is_completed(emptied: Settings, rows: Rows, step: str) -> None:
    process(emptied, block(0, 6))
    values = {6: review(3, "I hate the battery of it now, number 3")}
    crash_after(emptied, block(6, 7, values), step)
    process(emptied, block(6, 7, values, repeated=True))
    rows.assert_are({f"e-{n}": text_of(n) for n in range(6)} | {"e-3": "I hate the battery of it now, number 3"})


def test_every_view_says_what_it_says_on_one_node(emptied: Settings, migrated: Settings, rows: Rows) -> None:
    empty(migrated)
    same = {n: review(n, month=6) for n in range(30)}
    for settings in (emptied, migrated):
        process(settings, block(0, 30, same))
    views = rows.select("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'")
    assert len(views) >= 7
    for (view,) in views:
        named = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
        columns = {name for (name,) in rows.reader.rows(named, {"t": view})} - {"ingested_at"}
        sql = f"SELECT {', '.join(sorted(columns))} FROM {view} ORDER BY ALL"
        assert rows.select(sql) == Rows(migrated).select(sql), view
    assert rows.count("v_top_issues") > 0


def test_a_worker_finds_the_windows_it_needs_and_a_change_is_applied(one_shard: Settings) -> None:
    store = one_shard.clickhouse
    with connect(store) as client:
        check_windows(deduplication_windows(client, store), store)
    wider = store.model_copy(update={"deduplication_window": 3 * WINDOW})
    migrate(Settings(clickhouse=wider))
    with connect(store) as client:
        assert set(deduplication_windows(client, store).values()) == {3 * WINDOW}
    migrate(one_shard)


def test_the_statements_can_be_read_before_they_are_applied(voxpop: Voxpop) -> None:
    shown = voxpop("migrate", "--cluster", "voxpop", "--print")
    assert shown.returncode == 0, shown.stderr
    assert [part.strip() for part in re.split(r";\n(?:\n|$)", shown.stdout) if part.strip()] == printed()
    refused = voxpop("migrate", "--cluster", "two words", "--print")
    assert (refused.returncode, "can be no cluster's name" in refused.stderr) == (2, True)


def test_erasure_does_not_claim_what_it_cannot_see(voxpop: Voxpop) -> None:
    refused = voxpop("erase", "--event", "e-1", environment={"VOXPOP_CLICKHOUSE__CLUSTER": "voxpop"})
    assert (refused.returncode, "every node of a cluster" in refused.stderr) == (2, True)
