"""`voxpop digests`: runs until it is told to stop, or once."""

import signal
import threading

import structlog
from rich.console import Console

from workers.digests import run_digests
from workers.settings import Settings
from workers.store.digests import DigestRow

log = structlog.get_logger(__name__)


def show_digests(settings: Settings, out: Console, *, once: bool, limit: int | None) -> None:
    """Writes digests; SIGTERM and SIGINT end it after the one in hand. With `once` it says how many there were."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    written = run_digests(settings, stop, once=once, on_digest=_log, limit=limit)
    if once:
        out.print(f"{written:,} digests written", highlight=False)


def _log(row: DigestRow) -> None:
    window = row.window
    log.info("digest written", start=str(window.start), texts=window.texts, sentences=len(row.sentences))
