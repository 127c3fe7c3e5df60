"""`voxpop up`: the stack, a stream through it, live progress, and the results table read back with SQL."""

import dataclasses
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from schemas.samples import sample_messages
from workers.commands.dashboard import missing_for_dashboard
from workers.embedded.process import EmbeddedError
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.stack import Snapshot, Stack, Summary, running_stack
from workers.stack_dashboard import StackDashboard
from workers.store.query import DigestLine, ProductRow
from workers.stream.files import EventFile, RowMapping
from workers.stream.produce import Outgoing

SHOWN_DIGESTS = 3
QUIET_REPORT_S = 2.0  # between lines of progress where no terminal shows a bar


@dataclass(frozen=True, slots=True)
class UpRequest:
    """What the command line asked for. `data` None means a new directory, removed at the end."""

    once: bool
    input_file: Path | None
    mapping: RowMapping
    port: int
    kafka_port: int
    clickhouse_port: int
    workers: int
    data: Path | None
    as_json: bool
    dashboard_port: int | None = None


def show_up(settings: Settings, request: UpRequest, out: Console, err: Console) -> None:
    """Runs to the end of the stream (`once`) or until Ctrl-C. Raises `VoxpopError` when a part fails."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _interrupt(stop))
    messages = _messages(request, err)
    dashboard = not request.once and _can_show_dashboard(err)
    if request.dashboard_port is not None:
        chosen = settings.dashboard.model_copy(update={"port": request.dashboard_port})
        settings = settings.model_copy(update={"dashboard": chosen})
    with _data_dir(settings, request.data) as data_dir:
        stack_running = running_stack(
            settings,
            data_dir,
            workers=request.workers,
            http_port=request.port,
            kafka_port=request.kafka_port,
            clickhouse_port=request.clickhouse_port,
            dashboard=dashboard,
            alerts=settings.alerts.enabled,
            on_step=lambda step: err.print(f"· {step}", style="dim", highlight=False),
        )
        try:
            with stack_running as stack:
                _run(stack, messages, request, stop, out, err)
        except KeyboardInterrupt:
            if request.once:
                raise VoxpopError("interrupted before the stream was done; nothing was kept") from None
            err.print("stopped")


def _can_show_dashboard(err: Console) -> bool:
    if missing := missing_for_dashboard():
        err.print(f"· no dashboard: {missing}", style="dim", highlight=False, markup=False, soft_wrap=True)
    return not missing


def _interrupt(stop: threading.Event) -> None:
    """The first signal ends the serving, or the stream by raising; either way everything is stopped in order."""
    if stop.is_set():
        return
    stop.set()
    raise KeyboardInterrupt


def _messages(request: UpRequest, err: Console) -> Iterable[Outgoing]:
    if request.input_file is None:
        return (Outgoing(message.topic, message.key, message.value) for message in sample_messages())
    rows = EventFile(request.input_file, request.mapping)
    if rows.ignored:
        ignored = ", ".join(rows.ignored)
        err.print(
            f"· ignored columns: {ignored} (take one along with --map COL=metadata.KEY)", style="dim", markup=False
        )
    return rows


@contextmanager
def _data_dir(settings: Settings, chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()
        return
    runs = settings.state_dir / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="up-", dir=runs)).resolve()
    try:
        yield made
    except BaseException:
        _keep_logs(made, settings.state_dir / "last-failure")
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _keep_logs(made: Path, kept: Path) -> None:
    """After a failure the logs stay, for the error message points at them."""
    shutil.rmtree(kept, ignore_errors=True)
    if (made / "logs").is_dir():
        shutil.copytree(made / "logs", kept)


def _run(
    stack: Stack,
    messages: Iterable[Outgoing],
    request: UpRequest,
    stop: threading.Event,
    out: Console,
    err: Console,
) -> None:
    with _progress(err) as on_progress:
        summary = stack.run_stream(messages, on_progress)
    err.print("· writing digests", style="dim", highlight=False)
    stack.write_digests()
    if not request.as_json:
        out.print(results_table(stack.products()))
        _show_digests(stack.digests(SHOWN_DIGESTS), out)
        out.print(_summary_line(summary), highlight=False)
    else:
        out.file.write(json.dumps(dataclasses.asdict(summary)) + "\n")
        out.file.flush()
    if not request.once:
        _show_addresses(stack, err)
        stack.serve(stop)


@contextmanager
def _progress(err: Console) -> Iterator[Callable[[Snapshot], None]]:
    if not err.is_terminal:
        yield _quiet_progress(err)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("waiting for the workers", total=None)

        def show(now: Snapshot) -> None:
            done = now.insights + now.dead_letters
            bar.update(task, total=max(now.produced, 1), completed=done, description=_progress_line(now))

        yield show


def _quiet_progress(err: Console) -> Callable[[Snapshot], None]:
    last = 0.0

    def show(now: Snapshot) -> None:
        nonlocal last
        if now.finished or time.monotonic() - last >= QUIET_REPORT_S:
            last = time.monotonic()
            err.print(f"  {_progress_line(now)}", highlight=False)

    return show


def _progress_line(now: Snapshot) -> str:
    return (
        f"in {now.produced:,} · insights {now.insights:,} · dead letters {now.dead_letters:,}"
        f" · lag {now.lag:,} · {now.rate:,.0f}/s"
    )


def results_table(products: list[ProductRow]) -> Table:
    """Per product: volume, sentiment mix, and its aspects with how many mentions are positive and negative."""
    table = Table(title="What customers say", title_justify="left")
    for name, justify in (("Product", "left"), ("Texts", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("− / ○ / +", justify="right", no_wrap=True)
    table.add_column("Score", justify="right")
    table.add_column("Top aspects (+ positive, − negative mentions)")
    for row in products:
        mix = " / ".join(f"{100 * part / row.volume:.0f}%" for part in (row.negative, row.neutral, row.positive))
        aspects = ", ".join(f"{name} +{positive} −{negative}" for name, _, negative, positive in row.aspects)
        table.add_row(row.product, f"{row.volume:,}", mix, f"{row.mean_score:+.2f}", aspects)
    return table


def _show_digests(digests: list[DigestLine], out: Console) -> None:
    """Each with how many texts every sentence cites; `v_digests` says which."""
    for digest in digests:
        out.print(f"\n{digest.product}, {digest.window_start:%Y-%m-%d}, {digest.texts} texts:", highlight=False)
        cited = " ".join(f"{sentence} [{citations}]" for sentence, citations in digest.sentences)
        out.print(cited, highlight=False, markup=False)
    if digests:
        out.print(
            "[n]: how many texts say so; the view v_digests names them\n", style="dim", highlight=False, markup=False
        )


def _summary_line(summary: Summary) -> str:
    parts = [
        f"{summary.produced:,} messages",
        f"{summary.insights:,} insights",
        f"{summary.dead_letters:,} dead letters",
        f"{summary.resends:,} resends",
    ]
    if summary.alerts is not None:
        parts.append(f"{summary.alerts:,} alert{'' if summary.alerts == 1 else 's'}")
    if summary.refused:
        parts.append(f"{summary.refused:,} rows too large to send")
    return " · ".join(parts) + f" · {summary.seconds:.1f} s"


def _show_dashboard(dashboard: StackDashboard, err: Console) -> None:
    """Its address once it answers; a dashboard that does not come up ends nothing else."""
    try:
        dashboard.wait()
    except EmbeddedError as error:
        err.print(f"Dashboard     none: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        return
    err.print(f"Dashboard     {dashboard.address}", highlight=False, soft_wrap=True)


def _show_addresses(stack: Stack, err: Console) -> None:
    kafka, store = stack.settings.kafka, stack.settings.clickhouse
    if stack.dashboard is not None:
        _show_dashboard(stack.dashboard, err)
    err.print(f"Kafka         {kafka.bootstrap_servers}", highlight=False)
    err.print(f"ClickHouse    http://{store.host}:{store.port}/  (database {store.database})", highlight=False)
    err.print(
        f"try           curl 'http://{store.host}:{store.port}/?query=SELECT+*+FROM+{store.database}.v_top_issues"
        "+FORMAT+PrettyCompact'",
        highlight=False,
        soft_wrap=True,
    )
    err.print("Ctrl-C stops everything.")
