"""`voxpop doctor`: looks at everything a worker needs and says what to do about what is wrong."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from schemas.taxonomy import TaxonomyError, load_taxonomy
from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.slm.packs import verify_pack
from workers.store.connect import connect
from workers.store.migrate import shipped_migrations
from workers.stream.connect import connect_admin
from workers.stream.topics import topic_settings

BROKER_WAIT_S = 5.0
MAX_SKEW_S = 5.0
MIN_FREE_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `detail` says what was found and, when it is not good, what to do."""

    check: str
    good: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; one failure does not hide the next."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("broker", _broker),
        ("ClickHouse", _clickhouse),
        ("clock", _clock),
        ("deduplication", _deduplication),
        ("pack", _pack),
        ("taxonomy", _taxonomy),
        ("disk", _disk),
    ]
    findings = []
    for name, check in checks:
        try:
            findings.append(Finding(name, True, check(settings)))
        except (VoxpopError, TaxonomyError) as error:
            findings.append(Finding(name, False, str(error)))
    return findings


def show_findings(findings: list[Finding], out: Console, *, as_json: bool) -> bool:
    """Prints them and returns whether all are good."""
    if as_json:
        for finding in findings:
            out.file.write(json_line(dataclasses.asdict(finding)))
    else:
        table = Table("", "Check", "Found")
        for finding in findings:
            table.add_row("ok" if finding.good else "NO", finding.check, finding.detail)
        out.print(table, markup=False)
    return all(finding.good for finding in findings)


def _broker(settings: Settings) -> str:
    admin = connect_admin(settings.kafka, timeout_s=BROKER_WAIT_S)
    try:
        known = set(admin.list_topics())
    finally:
        admin.close()
    missing = sorted(set(topic_settings(settings.kafka)) - known)
    where = f"answers at {settings.kafka.bootstrap_servers}"
    return f"{where}; a worker will create {', '.join(missing)}" if missing else f"{where}; all topics are there"


def _clickhouse(settings: Settings) -> str:
    with connect(settings.clickhouse) as client:
        rows = client.query("SELECT number FROM schema_migrations FINAL").result_rows
        missing = [m.name for m in shipped_migrations() if (m.number,) not in {tuple(row) for row in rows}]
        if missing:
            raise VoxpopError(f"migrations are missing ({', '.join(missing)}); run: voxpop migrate")
        where = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
        return f"{client.server_version} answers at {where}; schema is up to date"


def _clock(settings: Settings) -> str:
    with connect(settings.clickhouse, database="default") as client:
        before = time.time()
        theirs = float(next(iter(client.query("SELECT toUnixTimestamp64Milli(now64(3)) / 1000").result_rows))[0])
        skew_s = theirs - (before + time.time()) / 2
    if abs(skew_s) > MAX_SKEW_S:
        raise VoxpopError(f"this clock and ClickHouse's differ by {skew_s:.1f} s; set both by NTP")
    return f"differs from ClickHouse's by {skew_s * 1000:.0f} ms"


def _deduplication(settings: Settings) -> str:
    with connect(settings.clickhouse) as client:
        sql = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'insights'"
        rows = list(client.query(sql).result_rows)
    wanted = settings.clickhouse.deduplication_window
    if not rows or f"non_replicated_deduplication_window = {wanted}" not in rows[0][0]:
        raise VoxpopError(
            f"the table insights does not remember {wanted:,} blocks; ALTER TABLE … MODIFY SETTING"
            f" non_replicated_deduplication_window = {wanted} on it and on its views' targets"
        )
    messages = wanted * settings.worker.block_records
    return f"tables remember {wanted:,} blocks: up to {messages:,} messages may come between a block and its repetition"


def _pack(settings: Settings) -> str:
    name = settings.model.pack
    built = settings.packs_dir / name
    from pathlib import Path

    card = verify_pack(built if built.is_dir() else Path(name))
    return f"{card.name} {card.version} is whole"


def _taxonomy(settings: Settings) -> str:
    taxonomy = load_taxonomy(settings.taxonomy)
    return f"{len(taxonomy.aspects)} aspects, {len(taxonomy.intents)} intents"


def _disk(settings: Settings) -> str:
    where = settings.state_dir if settings.state_dir.exists() else settings.state_dir.absolute().parent
    free = shutil.disk_usage(where).free
    if free < MIN_FREE_BYTES:
        raise VoxpopError(f"only {free / 1e9:.1f} GB are free at {where}; make room or set VOXPOP_STATE_DIR")
    return f"{free / 1e9:.0f} GB free at {where}"
