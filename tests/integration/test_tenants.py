"""A tenant sees its own products' rows, in every table and view that it may read, and nothing of anybody else's.

The engine here keeps neither roles nor policies that SQL makes, so the file is held to its parser and to the tables there
are. But its one user can be given policies by a users.xml: so the tenant's own condition is tried on rows, in views and all.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from tests.by_hand import Rows, block, process, review
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import connect
from workers.store.migrate import migrate

FILE = Path(__file__).parents[2] / "deploy" / "clickhouse" / "tenant.sql"
MINE, OTHERS = "Product 1", {"Product 0", "Product 2", "Product 3", "Product 4"}
ASKING = """
import json, sys
from chdb.session import Session
session = Session(sys.argv[1])
print(json.dumps({sql: str(session.query(sql, "TSV")).split("\\n")[:-1] for sql in json.loads(sys.argv[2])}))
"""


def statements(tenant: str = "acme", products: str = f"'{MINE}'") -> list[str]:
    """What the head of the file says to run."""
    text = FILE.read_text(encoding="utf-8").replace("TENANT", tenant).replace("PRODUCTS", products)
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [" ".join(part.split()) for part in "\n".join(lines).split(";") if part.strip()]


def policies() -> dict[str, tuple[set[str], str, str]]:
    """Policy -> tables, condition and kind, for whom."""
    found = {}
    for statement in statements():
        told = re.fullmatch(
            r"CREATE ROW POLICY (?:OR REPLACE|IF NOT EXISTS) (\w+) ON (.+) FOR SELECT USING (.+) TO (.+)", statement
        )
        if told:
            found[told[1]] = (set(re.findall(r"voxpop\.(\w+)", told[2])), told[3], told[4])
    return found


def granted() -> set[str]:
    grants = (re.fullmatch(r"GRANT SELECT ON voxpop\.(\w+) TO voxpop_tenant_acme_role", s) for s in statements())
    return {grant[1] for grant in grants if grant}


@pytest.fixture(scope="module")
def client(migrated: Settings) -> Client:
    return connect(migrated.clickhouse)


@pytest.mark.parametrize("statement", statements(), ids=lambda text: text[:70])
def test_every_statement_is_one_that_this_clickhouse_reads(client: Client, statement: str) -> None:
    ((node,),) = client.query(f"EXPLAIN AST {statement}").result_rows
    assert node.lower().endswith("query")


def test_what_a_tenant_may_read_is_under_its_policy_with_all_that_views_read(client: Client) -> None:
    views = {n for (n,) in client.query("SHOW TABLES LIKE 'v\\_%'").result_rows}
    assert granted() & views == views
    tables = {table for tables, _, _ in policies().values() for table in tables}
    assert granted() - views == tables
    read = client.query(
        "SELECT DISTINCT arrayJoin(extractAll(as_select, '(?:FROM|JOIN) (?:voxpop\\.)?([a-z_]+)')) FROM system.tables"
        " WHERE database = 'voxpop' AND engine = 'View'"
    ).result_rows
    real = {n for (n,) in client.query("SELECT name FROM system.tables WHERE engine LIKE '%MergeTree'").result_rows}
    assert {name for (name,) in read} & real == tables
    with_product = "SELECT table FROM system.columns WHERE database = 'voxpop' AND name = 'product'"
    assert tables <= {name for (name,) in client.query(with_product).result_rows}


def test_a_tenants_policy_takes_away_and_another_tenant_opens_nothing() -> None:
    told = policies()
    assert told.keys() == {"voxpop_tenant_acme", "voxpop_whole"}
    tables, condition, whom = told["voxpop_tenant_acme"]
    assert condition == f"product IN ('{MINE}') AS RESTRICTIVE"
    assert whom == "voxpop_tenant_acme_role"
    assert told["voxpop_whole"] == (tables, "1 AS PERMISSIVE", "ALL")
    shared = [s for s in statements("acme") if s in statements("other", "'Another'")]
    assert [
        s for s in shared if "OR REPLACE" in s or s.startswith("ALTER")
    ] == []  # nothing of a tenant's is written over


def test_with_its_condition_every_view_and_table_shows_its_product_alone(tmp_path: Path) -> None:
    with EmbeddedClickHouse(tmp_path / "clickhouse") as server:
        settings = Settings(clickhouse=ClickHouseSettings(port=server.port))
        migrate(settings)
        process(settings, block(0, 60, {n: review(n, month=6) for n in range(60)}))
        with connect(settings.clickhouse) as client:
            for product in (MINE, *OTHERS):
                client.command(
                    "INSERT INTO digests (product, sentences, citations, cited_sources, support, quoted)"
                    " VALUES ({p:String}, ['s'], [['e']], [['t']], [1], [true])",
                    {"p": product},
                )
                client.command("INSERT INTO alerts (alert_id, product) VALUES ({p:String}, {p:String})", {"p": product})
                client.command(
                    "INSERT INTO escalations (call, product, calls) VALUES ({p:String}, {p:String}, 1)", {"p": product}
                )
        rows = Rows(settings)
        names = sorted(granted())
        having = "SELECT table FROM system.columns WHERE database = 'voxpop' AND name = 'product'"
        asked = {
            name: f"SELECT DISTINCT product FROM voxpop.{name} ORDER BY 1"
            for (name,) in rows.select(having)
            if name in names
        }
        calls = "SELECT sum(calls) FROM voxpop.v_escalations"
        assert set(names) - asked.keys() == {"v_escalations"}
        whole = {sql: [str(value) for (value,) in rows.select(sql)] for sql in (*asked.values(), calls)}
        assert whole[calls] == ["5"]
        assert all(len(products) > 1 for sql, products in whole.items() if sql != calls)
    condition = policies()["voxpop_tenant_acme"][1].removesuffix(" AS RESTRICTIVE")
    assert seen_by_a_tenant(tmp_path, [*asked.values(), calls], condition) == {
        **{sql: [MINE] if MINE in whole[sql] else [] for sql in asked.values()},
        calls: ["1"],
    }


def seen_by_a_tenant(directory: Path, queries: list[str], condition: str) -> dict[str, list[str]]:
    """What the engine's user reads when every table that the tenant may read has this policy."""
    filters = "".join(f"<{t}><filter>{condition}</filter></{t}>" for t in policies()["voxpop_tenant_acme"][0])
    (directory / "users.xml").write_text(
        "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password>"
        "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
        f"<databases><voxpop>{filters}</voxpop></databases></default></users></clickhouse>"
    )
    config = directory / "config.xml"
    config.write_text(f"<clickhouse><users_config>{directory / 'users.xml'}</users_config></clickhouse>")
    where = f"{directory / 'clickhouse' / 'engine'}?config-file={config}"
    done = subprocess.run(
        [sys.executable, "-c", ASKING, where, json.dumps(queries)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found
