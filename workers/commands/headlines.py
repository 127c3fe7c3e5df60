"""`voxpop headlines`: runs until it is told to stop, or once, and says how far it is."""

import json
import signal
import threading
from dataclasses import asdict

import structlog
from rich.console import Console

from workers.headlines import Tally, run_headlines
from workers.settings import Settings

log = structlog.get_logger(__name__)


def show_headlines(settings: Settings, out: Console, err: Console, *, once: bool, as_json: bool) -> None:
    """Writes headlines; SIGTERM and SIGINT end it after the batch in hand. With `once` it says how far it is."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def progress(tally: Tally) -> None:
        done = tally.applied + tally.refused
        if once:
            line = f"· {done:,} of {max(done, tally.total):,} texts: {tally.applied:,} headlines, {tally.refused:,} refused"
            err.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
        else:
            log.info("headlines written", applied=tally.applied, refused=tally.refused, tokens=tally.tokens)

    tally = run_headlines(settings, stop, once=once, on_progress=progress)
    if as_json:
        out.file.write(json.dumps(asdict(tally)) + "\n")
        return
    more = f" · {tally.left:,} wait for workers" if tally.left else ""
    line = (
        f"{tally.applied:,} rows have a generated headline · {tally.refused:,} were refused and keep the author's words"
    )
    out.print(f"{line} · {tally.tokens:,} tokens{more}", highlight=False, markup=False, soft_wrap=True)
