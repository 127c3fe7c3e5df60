"""The Faust app, configured like our other Kafka clients, and its tables."""

import ssl
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import faust

from workers.settings import KafkaSettings, Settings

COMMIT_S = 0.5
BUFFERED = 10_000  # changes of tables: one window of a busy product makes hundreds


class PartitionTable(MutableMapping[str, Any]):
    """A Faust table, of which one partition's part is written. Outside of a stream too: time passes without texts.

    `sent` gets a future a change, done when the changelog is acknowledged.
    """

    def __init__(self, table: Any, partition: int, sent: Callable[[Any], None]) -> None:
        self._table = table
        self._partition = partition
        self._sent = sent

    def __getitem__(self, key: str) -> Any:
        return self._table.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._table.data[key] = value
        self._sent(self._table.send_changelog(self._partition, key, value))

    def __delitem__(self, key: str) -> None:
        del self._table.data[key]
        self._sent(self._table.send_changelog(self._partition, key, None, value_serializer="raw"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.data)

    def __len__(self) -> int:
        return len(self._table.data)


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
    app.producer.buffer.max_messages = BUFFERED
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    encrypted = kafka.security_protocol in ("SSL", "SASL_SSL")
    context = ssl.create_default_context(cafile=kafka.ssl_cafile) if encrypted else None
    if not kafka.security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )
