"""`voxpop plan`: what a rate needs, as a table or as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from workers.commands.bench import remembered
from workers.errors import UsageError
from workers.plan.cost import MACHINE
from workers.plan.sizing import (
    KAFKA_REPLICAS,
    STORE_REPLICAS,
    Plan,
    figures_of,
    parse_rate,
    parse_time,
    plan,
)
from workers.settings import Settings


def show_plan(settings: Settings, rate: str, p99: str, bench: Path | None, out: Console, *, as_json: bool) -> None:
    """Raises `UsageError` for what cannot be read, was not measured, or cannot be kept."""
    wanted, limit_s = parse_rate(rate), parse_time(p99)
    file = bench or remembered(settings)
    found = plan(wanted, limit_s, figures_of(_document(file, asked=bench is not None), str(file)), settings)
    if as_json:
        out.file.write(json.dumps(dataclasses.asdict(found)) + "\n")
    else:
        out.print(_table(found))
    out.file.flush()


def _document(file: Path, *, asked: bool) -> dict[str, Any]:
    """The last line that is a JSON object. Raises `UsageError`."""
    measure = "voxpop bench --part latency --part scale --part screens"
    try:
        lines = file.read_text(encoding="utf-8").strip().splitlines()
        document = json.loads(lines[-1])
    except FileNotFoundError as error:
        if asked:
            raise UsageError(f"{file} does not exist; give what `voxpop bench --json` printed") from error
        raise UsageError(f"nothing has been measured on this machine; run: {measure}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, IndexError) as error:
        raise UsageError(f"{file} holds no figures ({error}); give what `voxpop bench --json` printed") from error
    if not isinstance(document, dict):
        raise UsageError(f"{file} holds no figures; give what `voxpop bench --json` printed")
    return document


def _table(found: Plan) -> Table:
    table = Table(title=f"{found.rate:,.0f} texts a second, p99 of {found.p99_s:g} s", title_justify="left")
    table.add_column("what")
    table.add_column("needed", justify="right")
    table.add_column("why", style="dim")
    store = f"half of what one takes in; {STORE_REPLICAS} copies of each"
    rows = [
        ("workers, a machine each", f"{found.workers:,}", f"at {found.load:.0%} of what one can take"),
        ("partitions of the topics, together", f"{found.partitions:,}", "as many a worker as were measured"),
        ("p99 expected", f"{found.expected_p99_s:.2f} s", "simulated; fitted to what was measured"),
        ("ClickHouse shards", f"{found.store_nodes:,}", store),
        ("inserts a second", f"{found.inserts_a_second:,.0f}", "one a block; fewer with larger blocks or more linger"),
        ("VOXPOP_CLICKHOUSE__DEDUPLICATION_WINDOW", f"{found.deduplication_window:,}", "twice the inserts of a lease"),
        ("disk a day", f"{found.disk_gb_a_day:,.1f} GB", f"{STORE_REPLICAS} copies, compressed, all tables"),
        ("into Kafka", f"{found.kafka_mb_a_second:,.1f} MB/s", f"{KAFKA_REPLICAS} copies, uncompressed"),
        ("a month", f"US$ {found.usd_a_month:,.0f}", f"{MACHINE}; {KAFKA_REPLICAS} of them for Kafka"),
    ]
    for row in rows:
        table.add_row(*row)
    return table
