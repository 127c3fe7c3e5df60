"""`voxpop chaos`: a chaos run, its progress, and its report."""

import dataclasses
import json
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from workers.chaos.report import ChaosReport, ChaosRequest
from workers.chaos.run import run_chaos
from workers.settings import Settings, usable_cpus


def show_chaos(settings: Settings, request: ChaosRequest, out: Console, err: Console, *, as_json: bool) -> bool:
    """Runs it and prints the report. Whether every promise was kept; when one broke, the logs stay."""
    runs = settings.state_dir / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="chaos-", dir=runs)).resolve()
    kept = False
    try:
        report = run_chaos(
            request, settings, directory, lambda line: err.print(f"· {line}", style="dim", highlight=False)
        )
        kept = report.verdict.kept
        document = as_document(report)
        if as_json:
            out.file.write(json.dumps(document) + "\n")
        else:
            out.print_json(json.dumps(document))
    finally:
        if kept:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            again = (
                f"--broker {request.broker} --faults {request.faults} --events {request.events} --seed {request.seed}"
            )
            for line in (
                f"logs and data are in {directory}",
                f"the same faults again: voxpop chaos {again} --workers {request.workers}",
            ):
                err.print(f"· {line}", style="dim", markup=False, highlight=False, soft_wrap=True)
    return kept


def as_document(report: ChaosReport) -> dict[str, Any]:
    """The report as JSON: times in seconds."""
    verdict = dataclasses.asdict(report.verdict)
    return {
        "kept": report.verdict.kept,
        "broker": report.broker,
        "seed": report.seed,
        "faults": report.faults,
        "faults_by_kind": report.faults_by_kind,
        "messages": report.messages,
        "resends": report.resends,
        "updates": report.updates,
        "malformed": report.malformed,
        **verdict,
        "recovery_p50_s": report.recovery_s(0.5),
        "recovery_p99_s": report.recovery_s(0.99),
        "unexpected_ends": report.unexpected_ends,
        "seconds": report.seconds,
        "machine": f"{platform.machine()}, {usable_cpus()} CPUs, {platform.system()} {platform.release()}",
    }
