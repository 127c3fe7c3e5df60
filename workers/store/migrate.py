"""Numbered migrations: each file of `schemas/clickhouse` is applied once, in order, by one process at a time.

ClickHouse has no transactions for DDL. Every statement is therefore idempotent (IF NOT EXISTS), a file is recorded only
after its last statement, and one process at a time holds a lock: `CREATE TABLE` is atomic, so whoever creates the lock
table holds it (on a cluster that is the lock of one node: migrate by way of one). A lock older than `STALE_AFTER_S` belongs
to a process that died. It is taken over by renaming it to a name made of its own UUID: of several takers only one can
rename it, and none can rename its successor by mistake.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from workers.settings import Settings
from workers.store.cluster import history_table, on_cluster
from workers.store.comments import shipped_comments, write_comments
from workers.store.connect import StoreRefused, StoreUnavailable, connect, explain
from workers.store.windows import resize_windows

STALE_AFTER_S = 60.0
_TABLE_EXISTS = 57
_UNKNOWN_TABLE = 60
_LOCK = "schema_migrations_lock"


@dataclass(frozen=True, slots=True)
class Migration:
    """`sql` may hold the placeholders {deduplication_window} and {dead_letter_days}; `sha256` is of the file itself."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self, settings: Settings) -> list[str]:
        """The single statements, comments stripped and placeholders filled, as one server or the cluster of the settings
        is given them. A semicolon at a line's end closes one."""
        sql = "\n".join(line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        sql = sql.replace("{deduplication_window}", str(settings.clickhouse.deduplication_window))
        sql = sql.replace("{dead_letter_days}", str(settings.privacy.dead_letter_days))
        statements = [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", sql) if part.strip()]
        store = settings.clickhouse
        if store.cluster is None:
            return statements
        return [each for statement in statements for each in on_cluster(statement, store.cluster, store.database)]


def shipped_migrations() -> list[Migration]:
    """The migrations of this version, by number. Raises `StoreRefused` when two files share a number."""
    files = [f for f in resources.files("schemas").joinpath("clickhouse").iterdir() if f.name.endswith(".sql")]
    found = sorted((int(f.name[:4]), f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in files)
    migrations = [Migration(number, name, sql) for number, name, sql in found]
    if len({m.number for m in migrations}) != len(migrations):
        raise StoreRefused("two migration files share a number; renumber the newer one")
    return migrations


def migrate(
    settings: Settings,
    migrations: list[Migration] | None = None,
    *,
    on_applied: Callable[[Migration], None] = lambda _: None,
    lock_timeout_s: float = 120.0,
) -> list[Migration]:
    """Applies what is missing and returns it. Safe to call from any number of processes at once.

    Also gives every table the deduplication window of the settings, and says in ClickHouse what tables and columns mean.

    Raises `StoreRefused` when an applied file has changed since, or the server refuses a statement; `StoreUnavailable`
    when ClickHouse cannot be reached or another process holds the lock for longer than `lock_timeout_s` seconds.
    """
    shipped = shipped_migrations() if migrations is None else migrations
    try:
        with connect(settings.clickhouse, database="default") as client:
            client.command(preparations(settings)[0])
        with connect(settings.clickhouse) as client:
            client.command(preparations(settings)[1])
            missing = _missing(client, shipped)
            if missing:
                with _lock(client, lock_timeout_s):
                    missing = _missing(client, shipped)
                    for migration in missing:
                        _apply(client, migration, settings)
                        on_applied(migration)
            resize_windows(client, settings.clickhouse)
            if migrations is None:
                write_comments(client, shipped_comments(), settings.clickhouse.cluster)
            return missing
    except ClickHouseError as error:
        raise explain(error, settings.clickhouse) from error


def preparations(settings: Settings) -> tuple[str, str]:
    """What comes before every migration: the database, and the table that notes which were applied."""
    store = settings.clickhouse
    if store.cluster:
        database = f"CREATE DATABASE IF NOT EXISTS `{store.database}` ON CLUSTER `{store.cluster}`"
        return database, history_table(store.cluster, store.database)
    return (
        f"CREATE DATABASE IF NOT EXISTS `{store.database}`",
        "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, sha256 String,"
        " applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY number",
    )


def _missing(client: Client, shipped: list[Migration]) -> list[Migration]:
    rows = client.query("SELECT number, name, sha256 FROM schema_migrations FINAL").result_rows
    applied = {number: (name, sha256) for number, name, sha256 in rows}
    for migration in shipped:
        name, sha256 = applied.get(migration.number, (migration.name, migration.sha256))
        if sha256 != migration.sha256:
            raise StoreRefused(
                f"migration {migration.name} has changed since it was applied (as {name}, sha256 {sha256[:12]}…);"
                " restore the file and put the change into a new, higher number"
            )
    return [migration for migration in shipped if migration.number not in applied]


def _apply(client: Client, migration: Migration, settings: Settings) -> None:
    for statement in migration.statements(settings):
        client.command(statement)
    client.insert(
        "schema_migrations",
        [[migration.number, migration.name, migration.sha256]],
        column_names=["number", "name", "sha256"],
    )


@contextmanager
def _lock(client: Client, timeout_s: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout_s
    while not _created(client):
        _break_if_stale(client)
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"another process has been migrating for {timeout_s:.0f} s; wait for it, or DROP TABLE {_LOCK}"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        client.command(f"DROP TABLE IF EXISTS {_LOCK} SYNC")


def _created(client: Client) -> bool:
    try:
        client.command(f"CREATE TABLE {_LOCK} (held UInt8) ENGINE = Memory")
    except DatabaseError as error:
        if error.code == _TABLE_EXISTS:
            return False
        raise
    return True


def _break_if_stale(client: Client) -> None:
    rows = client.query(
        "SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = {lock:String}"
        " AND metadata_modification_time < now() - {stale:UInt32}",
        parameters={"lock": _LOCK, "stale": int(STALE_AFTER_S)},
    ).result_rows
    for (uuid,) in rows:
        aside = f"{_LOCK}_{uuid.replace('-', '')}"
        try:
            client.command(f"RENAME TABLE {_LOCK} TO {aside}")
        except DatabaseError as error:
            if error.code not in {_TABLE_EXISTS, _UNKNOWN_TABLE}:
                raise
            continue
        client.command(f"DROP TABLE IF EXISTS {aside} SYNC")
