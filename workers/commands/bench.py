"""`voxpop bench`: runs the parts, prints their tables, and the figures for machines."""

import contextlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from workers.bench.machine import machine
from workers.bench.rounds import Measured
from workers.bench.run import BenchRequest, run_bench
from workers.bench.usual import compared, read_usual
from workers.settings import Settings
from workers.slm.durable import replace_text


def show_bench(
    settings: Settings, request: BenchRequest, out: Console, err: Console, against: Path | None = None, *, as_json: bool
) -> list[str]:
    """Tables on standard output; with `as_json` the last line is the document. The ratios that are worse than usual by the
    file `against`, if there is one. Raises what `run_bench` does."""
    usual = read_usual(against) if against else {}
    logging.getLogger().setLevel(logging.WARNING)  # a line a block would be measured along
    runs = settings.state_dir / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=runs)).resolve()
    began = time.monotonic()
    try:
        measured = run_bench(
            request,
            settings,
            directory,
            lambda line: err.print(f"· {line}", style="dim", markup=False, highlight=False),
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    document = as_document(measured, request, time.monotonic() - began)
    if not request.quick:
        remember(settings, document)
    out.file.write("\n".join(_page(measured, document["machine"])) + "\n")
    worse: list[str] = []
    if usual:
        table, worse = compared(usual, document)
        out.file.write(f"\n### against what is usual\n\n{table}\n")
    if as_json:
        out.file.write(json.dumps(document) + "\n")
    out.file.flush()
    return worse


def remembered(settings: Settings) -> Path:
    """Where the latest figures of this machine are."""
    return settings.state_dir / "bench.json"


def remember(settings: Settings, document: Mapping[str, Any]) -> None:
    """The figures of a whole run, beside those of parts that were measured before: `voxpop plan` reads them."""
    file = remembered(settings)
    before = {}
    with contextlib.suppress(OSError, json.JSONDecodeError):
        before = json.loads(file.read_text(encoding="utf-8"))
    kept = {name: value for name, value in document.items() if name not in ("parts", "skipped", "seconds")}
    replace_text(file, json.dumps({**before, **kept}) + "\n")


def as_document(measured: Mapping[str, Measured], request: BenchRequest, seconds: float) -> dict[str, Any]:
    """Every figure at the top, rounded; how it came about under `parts`."""
    figures = {name: round(value, 4) for part in measured.values() for name, value in part.figures.items()}
    return {
        **figures,
        "quick": request.quick,
        "machine": machine(),
        "parts": {name: part.details for name, part in measured.items()},
        "skipped": {name: why for part in measured.values() for name, why in part.skipped.items()},
        "seconds": round(seconds, 1),
    }


def _page(measured: Mapping[str, Measured], on: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    lines = [
        f"{on['cpu']}, {on['cores']} cores ({' '.join(on['flags'])}), {on['system']}, Python {on['python']}",
        versions,
    ]
    for name, part in measured.items():
        lines += ["", f"### {name}", "", part.table]
        lines += [f"Not measured: {what} ({why})" for what, why in part.skipped.items()]
    return lines
