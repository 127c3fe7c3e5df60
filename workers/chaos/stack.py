"""What a chaos run breaks: a broker and ClickHouse of its own, a proxy between ClickHouse and the workers, the workers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.chaos.fleet import Fleet
from workers.chaos.known_stream import TOPIC
from workers.chaos.plan import SESSION_S
from workers.chaos.proxy import FaultProxy
from workers.chaos.report import ChaosRequest
from workers.embedded.broker import EmbeddedBroker
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.kafka import ApacheKafka
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.migrate import migrate
from workers.store.query import Reader
from workers.stream.topics import ensure_topics


@dataclass(frozen=True, slots=True)
class ChaosStack:
    """`settings` and `reader` reach ClickHouse past the proxy; the fleet's workers reach it through the proxy."""

    settings: Settings
    reader: Reader
    broker: EmbeddedBroker | ApacheKafka
    clickhouse: EmbeddedClickHouse
    proxy: FaultProxy
    fleet: Fleet


@contextmanager
def chaos_stack(request: ChaosRequest, base: Settings, directory: Path) -> Iterator[ChaosStack]:
    """Starts everything but the workers, in `directory`. Raises `VoxpopError` when it cannot."""
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        broker: EmbeddedBroker | ApacheKafka
        if request.broker == "kafka":
            config = {"group.min.session.timeout.ms": "1000"}
            broker = stack.enter_context(ApacheKafka.start(directory / "kafka", logs / "kafka.log", config=config))
        else:
            broker = stack.enter_context(EmbeddedBroker.start(logs / "broker.log"))
        clickhouse = stack.enter_context(EmbeddedClickHouse(directory / "clickhouse", log_file=logs / "clickhouse.log"))
        proxy = stack.enter_context(FaultProxy(clickhouse.host, clickhouse.port))
        direct = _settings(request, base, broker.bootstrap_servers, clickhouse.port)
        migrate(direct)
        ensure_topics(direct.kafka)
        through_proxy = direct.model_copy(
            update={"clickhouse": direct.clickhouse.model_copy(update={"port": proxy.port})}
        )
        fleet = Fleet(through_proxy, logs, request.command)
        stack.callback(fleet.stop)
        reader = Reader(stack.enter_context(connect(direct.clickhouse)), direct.clickhouse)
        yield ChaosStack(direct, reader, broker, clickhouse, proxy, fleet)


def _settings(request: ChaosRequest, base: Settings, bootstrap_servers: str, clickhouse_port: int) -> Settings:
    kafka = base.kafka.model_copy(
        update={
            "bootstrap_servers": bootstrap_servers,
            "session_timeout_ms": int(SESSION_S[request.broker] * 1000),
            "security_protocol": "PLAINTEXT",
            "sasl_mechanism": None,
            "ssl_certfile": None,
            "ssl_keyfile": None,
            "topics": (TOPIC,),
            "partitions": 6,
        }
    )
    store = base.clickhouse.model_copy(
        update={
            "host": "127.0.0.1",
            "port": clickhouse_port,
            "username": "default",
            "secure": False,
            "client_cert_file": None,
            "timeout_s": 5,
            "connect_timeout_s": 2,
            "deduplication_window": request.deduplication_window,
        }
    )
    model = base.model.model_copy(update={"replicas": 1})
    state_dir = base.state_dir.resolve()
    update = {"kafka": kafka, "clickhouse": store, "model": model, "worker": request.worker, "state_dir": state_dir}
    return base.model_copy(update=update)
