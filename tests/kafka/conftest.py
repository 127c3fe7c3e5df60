"""Apache Kafka itself and ClickHouse, once a session; topics and a group of its own, and empty tables, for every test."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.authority import Authority
from tests.by_hand import HandWorker, Rows, empty
from tests.conftest import StartKafka
from tests.kafka.cluster import Cluster
from workers.chaos.proxy import FaultProxy
from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.kafka import ApacheKafka
from workers.settings import ClickHouseSettings, KafkaSettings, Settings, WorkerSettings
from workers.store.migrate import migrate
from workers.stream.topics import ensure_topics

StartWorker = Callable[..., HandWorker]
_tests = count()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, start_kafka: StartKafka) -> Iterator[ApacheKafka]:
    """A node of its own, on a free port, over a new directory."""
    with start_kafka(tmp_path_factory.mktemp("apache-kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="session")
def proxy(clickhouse: EmbeddedClickHouse) -> Iterator[FaultProxy]:
    """Stands between every worker and ClickHouse."""
    with FaultProxy("127.0.0.1", clickhouse.port) as running:
        yield running


@pytest.fixture
def partitions() -> int:
    """Of the source topic. A test that needs more says so by `parametrize`."""
    return 1


@pytest.fixture(scope="session")
def store(clickhouse: EmbeddedClickHouse) -> ClickHouseSettings:
    """ClickHouse itself, with the smallest deduplication window."""
    made = ClickHouseSettings(port=clickhouse.port, deduplication_window=100)
    migrate(Settings(clickhouse=made))
    return made


@pytest.fixture
def settings(kafka: ApacheKafka, proxy: FaultProxy, store: ClickHouseSettings, partitions: int) -> Settings:
    """One source topic, small blocks, the smallest session, quick retries, over empty tables."""
    number = next(_tests)
    made = Settings(
        kafka=KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers,
            group_id=f"group-{number}",
            topics=(f"reviews-{number}",),
            insights_topic=f"insights-{number}",
            dead_letters_topic=f"deadletters-{number}",
            partitions=partitions,
            session_timeout_ms=6_000,
        ),
        clickhouse=store.model_copy(update={"port": proxy.port}),
        worker=WorkerSettings(block_records=10, linger_ms=20, insert_retry_max_s=0.1),
    )
    empty(Settings(clickhouse=store))
    ensure_topics(made.kafka)
    return made


@pytest.fixture
def rows(settings: Settings, store: ClickHouseSettings) -> Rows:
    return Rows(settings.model_copy(update={"clickhouse": store}))


@pytest.fixture
def cluster(settings: Settings) -> Iterator[Cluster]:
    opened = Cluster(settings)
    yield opened
    opened.close()


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[StartWorker]:
    """Starts workers by hand; those that a test leaves behind are closed. Words are changes to `settings.worker`."""
    started: list[HandWorker] = []

    def start(**changes: object) -> HandWorker:
        worker = settings.worker.model_copy(update=changes)
        started.append(HandWorker(settings.model_copy(update={"worker": worker})))
        return started[-1]

    yield start
    for worker in started:
        worker.close()
