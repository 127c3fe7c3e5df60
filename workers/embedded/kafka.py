"""Apache Kafka on this machine without Docker: one KRaft node, broker and controller in one JVM, on loopback only.

    python -m workers.embedded.kafka --data .voxpop/kafka/data --port 9092

Its jars come from `make kafka-jars` (deploy/kafka/pom.xml); Java 17 or newer must be there. Unlike the embedded broker it
keeps what it holds: stopped or killed, it starts again over the same data directory.
"""

import argparse
import base64
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from workers.embedded.process import ChildProcess, EmbeddedError, accepts_connections, free_port
from workers.errors import VoxpopError

HOST = "127.0.0.1"
JARS = Path(__file__).parents[2] / ".voxpop" / "kafka" / "libs"
MIN_JAVA = 17
_STARTS = 3  # a free port can be taken by another process before the broker binds it
_GRACE_S = 30.0
_ENVELOPE_BYTES = 1_048_576  # room for a dead letter's headers and a batch's own, above the largest event
_JVM = (
    *("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"),
    "-XX:TieredStopAtLevel=1",  # a test's broker lives for seconds: compile fast rather than well
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
)
_LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def missing_for_kafka(jars: Path = JARS) -> str | None:
    """What Apache Kafka lacks on this machine and the mend, in one line; None when nothing."""
    try:
        _java()
        _broker_jar(jars)
    except EmbeddedError as error:
        return str(error)
    return None


@dataclass(slots=True)
class ApacheKafka:
    """A running Apache Kafka. Use it as a context manager, or call `stop`. `process` is the present one's."""

    data_dir: Path
    log_file: Path
    port: int
    controller_port: int
    process: ChildProcess
    timeout_s: float

    @classmethod
    def start(
        cls,
        data_dir: Path,
        log_file: Path,
        *,
        port: int = 0,
        timeout_s: float = 60.0,
        max_message_bytes: int = 1_048_576,
        config: Mapping[str, str] | None = None,
        jars: Path = JARS,
    ) -> Self:
        """Formats `data_dir` when it is new, starts the node and returns when its broker serves requests.

        `port` 0 takes a free one. `config` adds to or replaces Kafka's own broker settings (log.cleaner.…, retention).
        Raises `EmbeddedError`: no Java, no jars, the port or the directory is taken, or the node does not come up.
        """
        java, broker_jar = _java(), _broker_jar(jars)
        data_dir = data_dir.resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        _refuse_a_directory_in_use(data_dir)
        for attempt in range(_STARTS):
            chosen, controller = port or free_port(HOST), free_port(HOST)
            _refuse_a_port_in_use(chosen)
            _write_configuration(data_dir, chosen, controller, max_message_bytes + _ENVELOPE_BYTES, config or {})
            _format_if_new(java, broker_jar.parent, data_dir)
            try:
                process = _run(java, broker_jar.parent, data_dir, log_file, chosen, timeout_s)
            except EmbeddedError as error:
                if "Address already in use" not in str(error) or attempt == _STARTS - 1:
                    raise
                continue
            return cls(data_dir, log_file, chosen, controller, process, timeout_s)
        raise AssertionError("unreachable")

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The JVM."""
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.running

    def stop(self) -> None:
        """Ends it in order. What it holds stays in the data directory."""
        self.process.stop()

    def kill(self) -> None:
        """Ends it as a crash would (SIGKILL)."""
        self.process.kill()

    def restart(self) -> None:
        """Starts it again after `stop` or `kill`: same data, same ports, same settings. Raises `EmbeddedError`."""
        if self.running:
            raise EmbeddedError(f"Apache Kafka already runs (pid {self.pid}): stop it first")
        _refuse_a_directory_in_use(self.data_dir)
        _refuse_a_port_in_use(self.port)
        jars = Path((self.data_dir / "jars").read_text())
        self.process = _run(_java(), jars, self.data_dir, self.log_file, self.port, self.timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _java() -> str:
    """The `java` command. Raises `EmbeddedError` when there is none or it is too old."""
    advice = f"install Java {MIN_JAVA} or newer (on Debian: apt-get install default-jre-headless)"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME={home}" if home else "on the PATH"
        raise EmbeddedError(f"Apache Kafka needs Java and there is no java {where}: {advice}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)  # noqa: S603 - found above
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    if version is None or int(version[1]) < MIN_JAVA:
        said = " ".join(told.stderr.split())[:60] or "it does not say its version"
        raise EmbeddedError(f"{java} is too old for Apache Kafka ({said}): {advice}")
    return java


def _broker_jar(jars: Path) -> Path:
    found = sorted(jars.glob("kafka_2.13-*.jar"))
    if not found:
        raise EmbeddedError(f"Apache Kafka's jars are not in {jars}: run: make kafka-jars")
    return found[0]


def _write_configuration(
    data_dir: Path, port: int, controller_port: int, max_bytes: int, config: Mapping[str, str]
) -> None:
    """The node's two configuration files, anew: ports may differ from those of the last start."""
    broker, controller = f"BROKER://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller_port}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"{broker},{controller}",
        "advertised.listeners": broker,
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(_log_dir(data_dir)),
        "message.max.bytes": str(max_bytes),
        "auto.create.topics.enable": "false",  # ours are created with their settings; a typing error creates none
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "broker.session.timeout.ms": "2000",  # after a kill the node waits for its former self's session to end
        "broker.heartbeat.interval.ms": "250",
        **config,
    }
    (data_dir / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (data_dir / "log4j2.properties").write_text(_LOG4J)


def _log_dir(data_dir: Path) -> Path:
    return data_dir / "log"


def _format_if_new(java: str, jars: Path, data_dir: Path) -> None:
    """Gives a new directory its cluster id and first metadata, as KRaft demands. Raises `EmbeddedError`."""
    (data_dir / "jars").write_text(str(jars.resolve()))
    if (_log_dir(data_dir) / "meta.properties").exists():
        return
    words = ["kafka.tools.StorageTool", "format", f"--cluster-id={_cluster_id()}", "--config=server.properties"]
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        _command(java, jars, data_dir, words), cwd=data_dir, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        said = _cause(lines) or (lines[-1].strip() if lines else "it wrote nothing")
        raise EmbeddedError(f"{data_dir} cannot be formatted for Apache Kafka (exit code {done.returncode}): {said}")


def _cluster_id() -> str:
    """A new id in Kafka's spelling of a UUID. One in 64 begins with a dash: an option's value must be joined to it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _command(java: str, jars: Path, data_dir: Path, words: list[str]) -> list[str | Path]:
    logging = f"-Dlog4j2.configurationFile={data_dir / 'log4j2.properties'}"
    return [java, *_JVM, logging, "-cp", f"{jars}/*", *words]


def _run(java: str, jars: Path, data_dir: Path, log_file: Path, port: int, timeout_s: float) -> ChildProcess:
    log_start = log_file.stat().st_size if log_file.exists() else 0
    command = _command(java, jars, data_dir, ["kafka.Kafka", "server.properties"])
    process = ChildProcess("Apache Kafka", command, log_file=log_file, directory=data_dir, grace_s=_GRACE_S)
    try:
        process.wait_until(lambda: accepts_connections(HOST, port) and _serves(port), timeout_s)
    except EmbeddedError as error:
        with log_file.open("rb") as log:
            log.seek(log_start)
            cause = _cause(log.read().decode(errors="replace").splitlines())
        if not cause:
            raise
        raise EmbeddedError(f"Apache Kafka did not start: {cause}; its log is {log_file}") from error
    return process


def _refuse_a_port_in_use(port: int) -> None:
    if accepts_connections(HOST, port):
        raise EmbeddedError(f"port {port} is taken; choose another or leave it out")


def _refuse_a_directory_in_use(data_dir: Path) -> None:
    """Raises `EmbeddedError` while another Kafka holds its lock on the directory (a POSIX record lock)."""
    lock_file = _log_dir(data_dir) / ".lock"
    if not lock_file.exists():
        return
    with lock_file.open("r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedError(
                f"{data_dir} is in use by another Apache Kafka: stop it or choose another directory"
            ) from None


def _serves(port: int) -> bool:
    """Whether the broker answers a metadata request and has been let into its own cluster."""
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", bootstrap_timeout_ms=2_000)
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()


def _cause(lines: list[str]) -> str:
    """The line that tells why a JVM ended: its last words are a stack trace or the log of its shutdown."""
    for telling in (r"^Caused by: ", r"^\S*Exception: |^Exception in thread", r" (ERROR|FATAL) "):
        told = [line.strip() for line in lines if re.search(telling, line)]
        if told:
            return told[0]
    return ""


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 1 and one line on standard error when it cannot."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.embedded.kafka",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Apache Kafka on loopback, in the foreground, until Ctrl-C.",
        epilog="example: python -m workers.embedded.kafka --data .voxpop/kafka/data --port 9092",
    )
    parser.add_argument("--data", type=Path, default=JARS.parent / "data", help="kept between runs (%(default)s)")
    parser.add_argument("--port", type=int, default=9092, help="0 for any free one (%(default)s)")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        serve(options.data, options.port, stop)
    except VoxpopError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def serve(data_dir: Path, port: int, until: threading.Event) -> None:
    """Runs the node and prints its address; returns when `until` is set. Raises `EmbeddedError` when it ends by itself."""
    with ApacheKafka.start(data_dir, data_dir / "kafka.log", port=port) as kafka:
        print(f"Apache Kafka at {kafka.bootstrap_servers}, data in {kafka.data_dir}; Ctrl-C stops it", flush=True)
        while not until.wait(0.25):
            if not kafka.running:
                raise EmbeddedError(f"Apache Kafka ended: {kafka.process.last_words()}; its log is {kafka.log_file}")


if __name__ == "__main__":
    main()
