"""Who may do what in ClickHouse: the roles that are shipped, and what a request that may only read is refused.

The engine in this process has one user and no access management, so the roles themselves are held to its parser, to the
tables there are, and to what the dashboard reads; that it honours `readonly` is tried on it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from fastapi.testclient import TestClient

from dashboards import quality_statements
from dashboards.application import application
from dashboards.figures import Figures
from dashboards.statements import Statement
from schemas.taxonomy import load_taxonomy
from workers.settings import Settings
from workers.store.connect import StoreUnavailable, connect
from workers.store.query import Reader

FILE = Path(__file__).parents[2] / "deploy" / "clickhouse" / "roles.sql"
LINES = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("--")]
STATEMENTS = [" ".join(part.split()) for part in "\n".join(LINES).split(";") if part.strip()]
WRITES = [
    "INSERT INTO feedback (event_id) VALUES ('x')",
    "INSERT INTO insights SELECT * FROM insights",
    "CREATE TABLE t (a Int8) ENGINE = Memory",
    "CREATE TABLE voxpop.t AS insights",
    "ALTER TABLE insights DELETE WHERE 1",
    "DELETE FROM insights WHERE 1",
    "TRUNCATE TABLE dead_letters",
    "DROP TABLE insights",
    "RENAME TABLE insights TO elsewhere",
    "SET readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS readonly = 1",
]


@pytest.fixture(scope="module")
def client(migrated: Settings) -> Iterator[Client]:
    with connect(migrated.clickhouse) as opened:
        yield opened


def granted(role: str) -> list[tuple[str, str]]:
    """(right, on what) of every GRANT to the role, in order; a REVOKE begins with a minus."""
    found = []
    for statement in STATEMENTS:
        told = re.fullmatch(r"(GRANT|REVOKE) (.+) ON (\S+) (?:TO|FROM) (\w+)", statement)
        if told and told[4] == role:
            found.append((("-" if told[1] == "REVOKE" else "") + told[2], told[3]))
    return found


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text[:50])
def test_every_statement_is_one_that_this_clickhouse_reads(client: Client, statement: str) -> None:
    ((node,),) = client.query(f"EXPLAIN AST {statement}").result_rows
    assert node.endswith("Query")


def test_the_access_management_that_the_roles_need_is_not_in_this_engine(client: Client) -> None:
    """If this ever fails, the roles can be tried here, not only read."""
    with pytest.raises(DatabaseError, match="Not enough privileges"):
        client.command(STATEMENTS[1])


def test_analysts_and_the_dashboard_read_everything_but_what_people_wrote_unredacted(client: Client) -> None:
    everything = [("SELECT", "voxpop.*"), ("-SELECT", "voxpop.dead_letters")]
    assert granted("voxpop_analyst_role") == everything
    first, second, (columns, table) = granted("voxpop_dashboard_role")
    assert ([first, second], table) == (everything, "voxpop.dead_letters")
    may = set(re.findall(r"\w+", columns)) - {"SELECT"}
    sql = "SELECT name FROM system.columns WHERE database = 'voxpop' AND table = 'dead_letters'"
    assert may == {name for (name,) in client.query(sql).result_rows} - {
        "key", "value", "headers", "topic_id", "lease_until"
    }  # fmt: skip
    for statement in (quality_statements.dead_letter_reasons(), quality_statements.dead_letters(1)):
        read = client.query(f"EXPLAIN QUERY TREE {statement.sql.replace('{limit:UInt32}', '1')}").result_rows
        named = set(re.findall(r"column_name: (\w+)", "\n".join(line for (line,) in read)))
        assert named & {"key", "value", "headers"} == set()


def test_only_feedback_and_the_audit_are_written_and_by_nobody_who_reads() -> None:
    assert granted("voxpop_feedback_role") == [("INSERT", "voxpop.feedback"), ("INSERT", "voxpop.audit")]
    writing = [statement for statement in STATEMENTS if re.match(r"GRANT (?!SELECT)", statement)]
    assert writing == [f"GRANT INSERT ON voxpop.{table} TO voxpop_feedback_role" for table in ("feedback", "audit")]
    for statement in STATEMENTS:
        if statement.startswith("CREATE ROLE") and "feedback" not in statement:
            assert statement.endswith("SETTINGS PROFILE 'voxpop_reads'")
        if statement.startswith("CREATE USER"):
            assert " HOST NONE " in statement  # until an administrator says from where, and with which password
    assert "readonly = 2" in STATEMENTS[0]


@pytest.mark.parametrize("statement", WRITES)
def test_what_the_dashboard_sends_cannot_write(migrated: Settings, client: Client, statement: str) -> None:
    figures = Figures(migrated, load_taxonomy())
    with TestClient(application(migrated, figures, pages=False), base_url="http://127.0.0.1") as asking:
        assert asking.portal is not None
        with pytest.raises(StoreUnavailable, match="READONLY"):
            asking.portal.call(figures.reader.rows, Statement(statement, {}))
        with pytest.raises(StoreUnavailable, match="READONLY"):
            asking.portal.call(figures.reader.file, Statement(statement, {}), "Parquet")
    assert client.query("SELECT count() FROM system.tables WHERE database = 'voxpop' AND name = 't'").result_rows == [
        (0,)
    ]


@pytest.mark.parametrize("statement", WRITES)
def test_what_voxpop_query_sends_cannot_write(migrated: Settings, client: Client, statement: str) -> None:
    with pytest.raises(StoreUnavailable, match="READONLY"):
        Reader(client, migrated.clickhouse).select(statement)


def test_limits_of_one_s_own_are_honoured_beside_it(migrated: Settings, client: Client) -> None:
    reader = Reader(client, migrated.clickhouse)
    assert reader.select("SELECT getSetting('readonly'), getSetting('max_execution_time')", settings={
        "max_execution_time": 7
    }).result_rows == [(2, 7)]  # fmt: skip
    with pytest.raises(StoreUnavailable, match="TOO_MANY_ROWS"):
        reader.select("SELECT sum(number) FROM numbers(100000)", settings={"max_rows_to_read": 10})


# --- who read what by SQL ----------------------------------------------------------------------------------------------

WHO_READ = (FILE.parent / "who_read.sql").read_text(encoding="utf-8")
WORDS = (
    "'text', 'title', 'headline', 'evidence', 'example', 'quotes', 'sentence', 'sentences', 'statements', 'value',"
    " 'key', 'headers', 'insight', 'author', 'url', 'metadata'"
)


def test_every_column_that_holds_words_of_people_or_who_they_are_is_looked_for(client: Client) -> None:
    sql = (
        "SELECT concat('voxpop.', table, '.', name) FROM system.columns WHERE database = 'voxpop'"
        f" AND name IN ({WORDS}) AND NOT startsWith(table, 'mv_') AND (table, name) != ('dead_letters', 'sentence')"
    )
    assert set(re.findall(r"'(voxpop\.\w+\.\w+)'", WHO_READ)) == {name for (name,) in client.query(sql).result_rows}


def test_readings_by_sql_are_told_from_a_log_of_the_server_s_form(client: Client) -> None:
    """The engine here keeps no log of queries: the statement is run over a table of the columns that it names."""
    client.command(
        "CREATE TABLE query_log_here (event_date Date DEFAULT today(), event_time DateTime DEFAULT now(), user String,"
        " address IPv6, client_name String, http_user_agent String, type Enum8('QueryStart' = 1, 'QueryFinish' = 2,"
        " 'ExceptionBeforeStart' = 3, 'ExceptionWhileProcessing' = 4), result_rows UInt64, columns Array(String),"
        " normalized_query_hash UInt64, query_kind String, is_initial_query UInt8) ENGINE = Memory"
    )
    try:
        client.command(
            "INSERT INTO query_log_here (user, type, query_kind, is_initial_query, result_rows, columns) VALUES"
            " ('ana', 'QueryFinish', 'Select', 1, 7, ['voxpop.v_recent.text', 'voxpop.v_recent.product']),"
            " ('ana', 'QueryStart', 'Select', 1, 0, ['voxpop.insights.text']),"
            " ('bea', 'QueryFinish', 'Select', 1, 9, ['voxpop.v_product_daily.volume']),"
            " ('cid', 'ExceptionWhileProcessing', 'Select', 1, 0, ['voxpop.dead_letters.value']),"
            " ('worker', 'QueryFinish', 'Insert', 1, 0, ['voxpop.insights.text'])"
        )
        found = client.query(WHO_READ.replace("system.query_log", "query_log_here")).result_rows
    finally:
        client.command("DROP TABLE query_log_here")
    assert sorted((row[1], row[5], tuple(row[6])) for row in found) == [
        ("ana", 7, ("voxpop.v_recent.text",)),
        ("cid", 0, ("voxpop.dead_letters.value",)),
    ]
