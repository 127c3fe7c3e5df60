"""Digests of the stack on one machine: those of a finished stream, then a process of its own that goes on with them."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from workers.embedded.process import ChildProcess
from workers.errors import VoxpopError
from workers.settings import Settings, as_environment

PAUSE_S = 0.1
MOST_AT_ONCE = 100  # windows, the newest: the results of a large file do not wait for all of them


def write_digests(settings: Settings, logs: Path, check: Callable[[], None]) -> None:
    """Returns when the newest windows have their digests. `check` is called meanwhile and may raise.

    Raises `VoxpopError` when they could not be written.
    """
    words = ["digests", "--once", "--limit", str(MOST_AT_ONCE)]
    with _process(settings, logs, *words) as process:
        while process.running:
            check()
            time.sleep(PAUSE_S)
        if process.exit_code:
            raise VoxpopError(f"digests could not be written: {process.last_words()} (their log: {process.log_file})")


def start_digests(settings: Settings, logs: Path) -> ChildProcess:
    """The process that writes digests as texts come. The caller ends it."""
    return _process(settings, logs, "digests")


def _process(settings: Settings, logs: Path, *words: str) -> ChildProcess:
    own = settings.model_copy(update={"state_dir": settings.state_dir.resolve()})
    command = [sys.executable, "-m", "workers.cli", *words]
    return ChildProcess("digests", command, log_file=logs / "digests.log", environment=as_environment(own))
