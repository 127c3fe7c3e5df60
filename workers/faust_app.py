"""The Faust app, configured like our other Kafka clients, and its tables."""

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import faust
from aiokafka.abc import AbstractTokenProvider
from faust.transport.drivers import aiokafka
from kafka import TopicPartition

from workers.changelogs import Changelogs
from workers.settings import OAUTHBEARER, KafkaSettings, Settings
from workers.stream.lag import LagProbe
from workers.stream.oauth import ClientCredentials
from workers.stream.tls import tls_context

COMMIT_S = 0.5
BUFFERED = 10_000  # changes of tables: one window of a busy product makes hundreds


class PartitionTable(MutableMapping[str, Any]):
    """A Faust table, of which one partition's part is written. Outside of a stream too: time passes without texts.

    Changes are in it at once, and on their way to its changelog when `changelogs` sends them. `states`: whether it says how
    far the others have come.
    """

    def __init__(self, table: Any, partition: int, changelogs: Changelogs, *, states: bool) -> None:
        self._table = table
        self._partition = partition
        self._changelogs = changelogs
        self._states = states

    def __getitem__(self, key: str) -> Any:
        return self._table.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._table.data[key] = value
        current = self._changelogs.current
        changes = current.states if self._states else current.content
        changes.append(lambda: self._table.send_changelog(self._partition, key, value))

    def __delitem__(self, key: str) -> None:
        del self._table.data[key]
        self._changelogs.current.deletions.append(lambda: self._delete(key))

    def _delete(self, key: str) -> None:
        if key not in self._table.data:  # it may have come again
            self._table.send_changelog(self._partition, key, None, value_serializer="raw")

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.data)

    def __len__(self) -> int:
        return len(self._table.data)


class Consumer(aiokafka.Consumer):
    """Faust's, but nothing is lost at a start. Faust rebuilds tables up to where the broker says changelogs end, and the
    embedded one answers with the first offset of the last batch (`stream/lag.py`). Faust begins to read the stream
    before it empties the queues between: a message that lay there was gone, and the next one's commit went past it. And it
    asks for messages of a set of partitions that it goes on changing: when the last is taken out while it waits, aiokafka
    takes the empty set for all partitions, moves past their messages, and Faust drops those of partitions not in the set."""

    settings: KafkaSettings
    _held_back: frozenset[Any] = frozenset()

    async def highwaters(self, *partitions: Any) -> Mapping[Any, int]:
        """Partition -> one past its last message. Raises `BrokerUnavailable`."""
        ends = await asyncio.to_thread(self._ends, [TopicPartition(tp.topic, tp.partition) for tp in partitions])
        return {tp: ends[TopicPartition(tp.topic, tp.partition)] for tp in partitions}

    def _ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        probe = LagProbe(self.settings)
        try:
            return probe.ends_of(partitions)
        finally:
            probe.close()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        """Messages of the partitions that are active now, whatever becomes of the set meanwhile."""
        return await super()._getmany(active_partitions and set(active_partitions), timeout)

    def resume_partitions(self, tps: Any) -> None:
        """While partitions move, not before `resume_flow`, which follows: by then queues are empty, offsets sought."""
        if self.app.rebalancing:
            self._held_back |= frozenset(tps)
        else:
            super().resume_partitions(tps)

    def resume_flow(self) -> None:
        super().resume_partitions(self._held_back)
        self._held_back = frozenset()
        super().resume_flow()

    def stop_flow(self) -> None:
        self._held_back = frozenset()
        super().stop_flow()


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Access tokens as aiokafka asks for them."""

    def __init__(self, credentials: ClientCredentials) -> None:
        self._credentials = credentials

    async def token(self) -> str:
        """A token that lives for a while. Raises `NoToken`."""
        return await asyncio.to_thread(self._credentials.token)


class Transport(aiokafka.Transport):
    """Kafka, by our consumer."""

    Consumer = Consumer

    def __init__(self, app: Any, settings: KafkaSettings) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self._settings = settings

    def create_consumer(self, callback: Any, **options: Any) -> Any:
        consumer: Any = super().create_consumer(callback, **options)
        consumer.settings = self._settings
        return consumer


def faust_app(settings: Settings, partitions: int) -> Any:
    """An app whose tables have as many partitions as the stream they count. Build it within the event loop that runs it."""
    kafka = settings.kafka
    app = faust.App(
        settings.alerts.group_id,
        broker=[f"kafka://{address.strip()}" for address in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        broker_commit_interval=COMMIT_S,
        broker_session_timeout=kafka.session_timeout_ms / 1000,
        broker_heartbeat_interval=kafka.session_timeout_ms / 1000 / 10,
        consumer_auto_offset_reset="earliest",
        datadir=str(settings.state_dir / "alerts"),
        store="memory://",
        stream_wait_empty=False,  # a text may be counted again; and one that has failed is never acknowledged
        table_standby_replicas=0,
        topic_partitions=partitions,
        topic_allow_declare=False,  # ours are created as our other topics are: it knows no "the broker's default"
        topic_disable_leader=True,
        web_enabled=False,
        logging_config={"version": 1, "disable_existing_loggers": False},
    )
    app.transport = Transport(app, kafka)
    app.producer.buffer.max_messages = BUFFERED
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    context = tls_context(kafka) if kafka.security_protocol.endswith("SSL") else None
    if not kafka.security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context)
    if kafka.sasl_mechanism == OAUTHBEARER:
        return faust.OAuthCredentials(oauth_cb=Tokens(ClientCredentials(kafka)), ssl_context=context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )
