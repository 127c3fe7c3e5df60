"""Alerts on the stack of one machine: a process of its own beside the workers."""

import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from workers.embedded.process import ChildProcess, free_port
from workers.errors import VoxpopError
from workers.settings import Settings, as_environment
from workers.stream.lag import LagProbe

POLL_S = 0.1
CAUGHT_UP_S = 60.0  # for what the workers have produced to be counted, once they are done
HURRIES = "voxpop_alert_hurries_total"


class StackAlerts:
    """The process. It is not waited for until the stream is done."""

    def __init__(self, process: ChildProcess, settings: Settings, port: int) -> None:
        self.process = process
        self._settings = settings
        self._metrics = f"http://{settings.alerts.http_host}:{port}/metrics"

    def finish(self) -> None:
        """Returns when every insight in the topic is counted and every window that is over has been looked at.

        Raises `VoxpopError` when the process ends or does not get there.
        """
        probe = LagProbe(self._settings.kafka, self._settings.alerts.group_id)
        try:
            ends = probe.ends(self._settings.kafka.insights_topic)
            deadline = time.monotonic() + CAUGHT_UP_S
            while probe.behind(ends):
                self._wait(deadline, "count the insights")
            before = self._hurries()
            kill(self.process.pid, signal.SIGUSR1)
            while self._hurries() == before:
                self._wait(deadline, "look at its windows")
        finally:
            probe.close()

    def _wait(self, deadline: float, what: str) -> None:
        if not self.process.running:
            raise VoxpopError(f"alerts ended: {self.process.last_words()} (its log: {self.process.log_file})")
        if time.monotonic() > deadline:
            raise VoxpopError(f"alerts took too long to {what}; its log is {self.process.log_file}")
        time.sleep(POLL_S)

    def _hurries(self) -> float:
        with urllib.request.urlopen(self._metrics, timeout=10) as page:  # noqa: S310 - our own process
            families = text_string_to_metric_families(page.read().decode())
        return sum(sample.value for family in families for sample in family.samples if sample.name == HURRIES)


@contextmanager
def stack_alerts(settings: Settings, logs: Path) -> Iterator[StackAlerts]:
    """Watches the stack's insights. Its metrics are on the settings' port, or a free one."""
    port = settings.alerts.http_port or free_port(settings.alerts.http_host)
    own = settings.model_copy(
        update={
            "alerts": settings.alerts.model_copy(update={"http_port": port}),
            "state_dir": settings.state_dir.resolve(),
        }
    )
    command = [sys.executable, "-m", "workers.cli", "alerts"]
    with ChildProcess("alerts", command, log_file=logs / "alerts.log", environment=as_environment(own)) as process:
        yield StackAlerts(process, own, port)
