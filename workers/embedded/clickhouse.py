"""The embedded ClickHouse from outside: start its process, know its address, stop it."""

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.embedded.process import ChildProcess, EmbeddedError, accepts_connections

# What this module and the server agree on. It is here because importing the server would load the engine.
PASSWORD_VARIABLE = "VOXPOP_EMBEDDED_CLICKHOUSE_PASSWORD"  # noqa: S105 - the name of the variable
ADDRESS_FILE = "server.json"
PING_TIMEOUT_S = 2.0


class EmbeddedClickHouse:
    """ClickHouse's engine behind its HTTP interface, in a process of its own that dies with ours.

    `host`, `port`, `username` and `password` are what any ClickHouse client needs. The port is kept over restarts.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str = "",
        certificate: Path | None = None,
        log_file: Path | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Nothing is started yet. `port` 0 takes a free one; `timeout_s` is how long a start may take.

        A `host` other than loopback needs a password. With a `certificate` (a PEM file: the key, then the chain) it speaks
        HTTPS alone. The log is `data_dir`/server.log unless named.
        """
        self.host = host
        self.port = port
        self.username = "default"
        self.password = password
        self.data_dir = data_dir
        self.log_file = log_file or data_dir / "server.log"
        self._certificate = certificate
        self._timeout_s = timeout_s
        self._process: ChildProcess | None = None

    @property
    def pid(self) -> int:
        """The server process. Raises `EmbeddedError` when it has not been started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None and self._process.running

    @property
    def url(self) -> str:
        """The HTTP interface, without credentials."""
        return f"{'https' if self._certificate else 'http'}://{self.host}:{self.port}"

    def start(self) -> Self:
        """Start the process and wait until it answers. Starting it again after `stop` or `kill` keeps port and data.

        Raises `EmbeddedError` with the server's own last line when it does not come up.
        """
        if self.running:
            raise EmbeddedError(f"the embedded ClickHouse already runs (pid {self.pid}): stop it first")
        module = "workers.embedded.clickhouse_server"
        arguments = ["--data-dir", str(self.data_dir), "--host", self.host, "--port", str(self.port)]
        if self._certificate:
            arguments += ["--certificate", str(self._certificate)]
        self._process = ChildProcess(
            "the embedded ClickHouse",
            [sys.executable, "-m", module, *arguments],
            log_file=self.log_file,
            environment={PASSWORD_VARIABLE: self.password},
        )
        self._process.wait_until(self._answers, self._timeout_s)
        return self

    def stop(self) -> None:
        """Stop the process politely and wait until it is gone. Does nothing when it does not run."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the process as a crash would (SIGKILL)."""
        self._started().kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> ChildProcess:
        if self._process is None:
            raise EmbeddedError("the embedded ClickHouse has not been started: call start() first")
        return self._process

    def _answers(self) -> bool:
        """Whether our process has announced its port and answers there. An older process's announcement does not count."""
        try:
            address = json.loads((self.data_dir / ADDRESS_FILE).read_text())
        except FileNotFoundError:
            return False
        if address["pid"] != self.pid:
            return False
        self.port = address["port"]
        if self._certificate:
            return accepts_connections(self.host, self.port)  # whom it trusts is its clients' affair
        asking = http.client.HTTPConnection(self.host, self.port, timeout=PING_TIMEOUT_S)
        try:
            asking.request("GET", "/ping")
            return asking.getresponse().read() == b"Ok.\n"
        except OSError:
            return False
        finally:
            asking.close()


@contextmanager
def embedded_clickhouse(
    data_dir: Path, *, port: int = 0, password: str = "", log_file: Path | None = None, timeout_s: float = 60.0
) -> Iterator[EmbeddedClickHouse]:
    """An embedded ClickHouse on 127.0.0.1 that is stopped at the end of the block."""
    with EmbeddedClickHouse(data_dir, port=port, password=password, log_file=log_file, timeout_s=timeout_s) as server:
        yield server
