"""The dashboard of the stack on one machine: a process of its own beside the workers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.embedded.process import ChildProcess, accepts_connections, free_port
from workers.settings import Settings, as_environment

DASHBOARD_START_S = 60.0


class StackDashboard:
    """The dashboard's process. It starts beside the workers and is not waited for until somebody asks for its address."""

    def __init__(self, process: ChildProcess, host: str, port: int) -> None:
        self._process, self._host, self._port = process, host, port

    @property
    def address(self) -> str:
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}/"

    def wait(self) -> None:
        """Returns when it answers. Raises `EmbeddedError` with its last words when it does not come up."""
        self._process.wait_until(lambda: accepts_connections(self._host, self._port), DASHBOARD_START_S)


@contextmanager
def stack_dashboard(settings: Settings, http_port: int | None, logs: Path) -> Iterator[StackDashboard]:
    """A dashboard on the settings' port, or a free one where that is taken. It asks the worker at `http_port` for lag."""
    own = settings.dashboard
    port = own.port if own.port and not accepts_connections(own.host, own.port) else free_port(own.host)
    metrics = () if http_port is None else (f"http://{settings.worker.http_host}:{http_port}/metrics",)
    own = own.model_copy(update={"port": port, "worker_metrics": own.worker_metrics or metrics})
    environment = as_environment(settings.model_copy(update={"dashboard": own}))
    command = [sys.executable, "-m", "workers.cli", "dashboard"]
    with ChildProcess("the dashboard", command, log_file=logs / "dashboard.log", environment=environment) as process:
        yield StackDashboard(process, own.host, port)
