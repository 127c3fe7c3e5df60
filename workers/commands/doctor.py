"""`voxpop doctor`: looks at everything a worker needs and says what to do about what is wrong."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from schemas.taxonomy import TaxonomyError, load_taxonomy
from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.retention import ends_at
from workers.settings import Settings
from workers.slm.packs import verify_pack
from workers.slm.versions import pack_path
from workers.store.connect import connect
from workers.store.expiry import Expiry
from workers.store.migrate import shipped_migrations
from workers.store.query import Reader
from workers.store.windows import busiest_parts_a_second, check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.connect import connect_admin
from workers.stream.topics import topic_settings

BROKER_WAIT_S = 5.0
MAX_SKEW_S = 5.0
SAFETY = 4  # times a lease that the deduplication windows must cover at the busiest
MIN_FREE_BYTES = 2_000_000_000
LATE = timedelta(days=2)  # of what may not be kept: a night's run may be missed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `detail` says what was found and, when it is not good, what to do."""

    check: str
    good: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Looks at everything; one failure does not hide the next."""
    findings = []
    for name, check in CHECKS.items():
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
    """A worker that has lost a partition may still insert until its lease ends: others must not write more than the tables
    remember in that time."""
    with connect(settings.clickhouse) as client:
        check_windows(deduplication_windows(client, settings.clickhouse), settings.clickhouse)
        rate = busiest_parts_a_second(client, settings.clickhouse)
    window, lease_s = settings.clickhouse.deduplication_window, settings.worker.lease_s
    said = f"tables remember {window:,} inserts"
    if not rate:
        return f"{said}: enough for {window / lease_s:,.0f} a second"
    covered_s = window / rate
    if covered_s < SAFETY * lease_s:
        raise VoxpopError(
            f"{said}, which the busiest ten seconds of the last day would fill in {covered_s:.0f} s, while a lease lasts"
            f" {lease_s:.0f} s; set VOXPOP_CLICKHOUSE__DEDUPLICATION_WINDOW to {int(2 * SAFETY * lease_s * rate):,} and run:"
            " voxpop migrate"
        )
    return f"{said}: {covered_s:,.0f} s at the last day's busiest, and a lease lasts {lease_s:.0f} s"


def _retention(settings: Settings) -> str:
    """A nightly `voxpop retention --apply` leaves nothing that is over for two days."""
    retention = settings.retention
    if retention.days is None and not any(retention.sources.values()):
        return "no days are set, so texts are kept"
    with connect(settings.clickhouse) as client:
        expiry = Expiry(Reader(client, settings.clickhouse), Writer(client, settings.clickhouse))
        ends = ends_at(settings, expiry.sources(), datetime.now(UTC)).texts
        late = {source: count for source, end in ends.items() if (count := expiry.left(source, end - LATE))}
    if late:
        named = ", ".join(f"{source} {count:,}" for source, count in late.items())
        raise VoxpopError(
            f"texts that should have gone {LATE.days} days ago and more are still there ({named});"
            " run every night: voxpop retention --apply"
        )
    return f"no text of {len(ends)} sources that have days is over them for longer than {LATE.days} days"


def _pack(settings: Settings) -> str:
    names = dict.fromkeys([settings.model.pack, *(route.pack for route in settings.model.routes)])
    cards = [verify_pack(pack_path(settings.packs_dir, name)) for name in names]
    whole = " and ".join(f"{card.name} {card.version}" for card in cards)
    return f"{whole} {'is' if len(cards) == 1 else 'are'} whole"


def _taxonomy(settings: Settings) -> str:
    taxonomy = load_taxonomy(settings.taxonomy)
    return f"{len(taxonomy.aspects)} aspects, {len(taxonomy.intents)} intents"


def _disk(settings: Settings) -> str:
    where = settings.state_dir if settings.state_dir.exists() else settings.state_dir.absolute().parent
    free = shutil.disk_usage(where).free
    if free < MIN_FREE_BYTES:
        raise VoxpopError(f"only {free / 1e9:.1f} GB are free at {where}; make room or set VOXPOP_STATE_DIR")
    return f"{free / 1e9:.0f} GB free at {where}"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "broker": _broker,
    "ClickHouse": _clickhouse,
    "clock": _clock,
    "deduplication": _deduplication,
    "retention": _retention,
    "pack": _pack,
    "taxonomy": _taxonomy,
    "disk": _disk,
}
