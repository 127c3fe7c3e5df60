"""A child process that cannot outlive us: in a session of its own, waited for, stopped politely, then killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.embedded import supervisor
from workers.errors import VoxpopError

POLL_S = 0.02
LOG_TAIL_BYTES = 16_384


class EmbeddedError(VoxpopError):
    """A part of the embedded stack did not start, ended early, or cannot run here."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free on `host` a moment ago. Another process can take it first: be ready to start again."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(host: str, port: int) -> bool:
    """Whether something listens on `host`:`port` now."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return as soon as `condition()` holds; `EmbeddedError` naming `what` when it still does not after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise EmbeddedError(f"waited {timeout_s:g} s for {what}: give the machine more time or look into the logs")
        time.sleep(POLL_S)


class ChildProcess:
    """One running command under a supervisor (`supervisor.py`): a module of ours or any binary, which need not know.

    It ends when `stop()` is called, when the process that holds this object ends in any way (`kill -9` too), and on
    Linux when the supervisor is killed. A Ctrl-C in the terminal does not reach it (it has its own session): the
    caller decides when it stops.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        grace_s: float = 10.0,
    ) -> None:
        """Start `command` in `directory`, `environment` added to ours, its output appended to `log_file`.

        `name` is what errors call it ("the embedded broker"). `grace_s` is the time from SIGTERM to SIGKILL at the end.
        Raises `EmbeddedError` when the command cannot be started at all.
        """
        self.name = name
        self.log_file = log_file
        self.grace_s = grace_s
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log_file.stat().st_size if log_file.exists() else 0
        with log_file.open("ab") as log:
            self._supervisor = subprocess.Popen(  # noqa: S603 - the caller's own command, no shell
                _supervised([os.fspath(part) for part in command], grace_s),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        assert self._supervisor.stdout is not None  # noqa: S101 - asked for above
        with self._supervisor.stdout as announced:
            line = announced.readline()
        if not line:
            self._close_pipe()
            self._supervisor.wait()
            raise EmbeddedError(f"{name} did not start: {self.last_words()}; its log is {log_file}")
        self.pid = int(line)

    @property
    def running(self) -> bool:
        """Whether the command still runs."""
        return self._supervisor.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; then the command's exit code, or 128 + N when signal N ended it."""
        return self._supervisor.poll()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return as soon as `ready()` holds.

        When the command ends first, `EmbeddedError` carries the last line it wrote. When it is not ready after
        `timeout_s` it is stopped and `EmbeddedError` says so.
        """

        def ready_or_ended() -> bool:
            return ready() or not self.running

        try:
            wait_until(ready_or_ended, timeout_s, f"{self.name} to answer (its log is {self.log_file})")
        except BaseException:
            self.stop()
            raise
        if not self.running:
            raise EmbeddedError(
                f"{self.name} ended with exit code {self.exit_code}: {self.last_words()}; its log is {self.log_file}"
            )

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when it is gone. Calling it again does nothing."""
        self._close_pipe()
        try:
            self._supervisor.wait(self.grace_s + 5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL without warning (what a crash looks like); returns when it is gone."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self._supervisor.wait()
        self._close_pipe()

    def last_words(self) -> str:
        """The last line this run wrote to its log, or a sentence saying that there is none."""
        lines = self.last_lines()
        return lines[-1] if lines else "it wrote nothing"

    def last_lines(self) -> list[str]:
        """What this run wrote to its log last: at most `LOG_TAIL_BYTES` of it."""
        with self.log_file.open("rb") as log:
            log.seek(max(self._log_start, self.log_file.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip().splitlines()

    def _close_pipe(self) -> None:
        """End of file on this pipe is the supervisor's order to stop the command."""
        if self._supervisor.stdin is not None:
            self._supervisor.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _supervised(command: list[str], grace_s: float) -> list[str]:
    return [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid()), str(grace_s), *command]
