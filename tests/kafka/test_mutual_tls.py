"""A Kafka that asks for a client's certificate: whoever shows one of its authority is let in, others are told why."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import TopicPartition
from pydantic import SecretStr

from tests.authority import Authority
from tests.by_hand import wait_until
from tests.conftest import StartKafka
from tests.kafka.encrypted import encrypted_kafka
from workers.errors import UsageError
from workers.faust_app import faust_app
from workers.settings import KafkaSettings, Settings, WorkerSettings
from workers.stream.connect import BrokerUnavailable, connect_admin, connect_producer
from workers.stream.consume import BlockConsumer
from workers.stream.lag import LagProbe
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics, topic_settings

KEY_PASSWORD = "key-correct-horse"
CLIENT = "voxpop-worker"


@pytest.fixture(scope="module")
def mutual(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, start_kafka: StartKafka
) -> Iterator[KafkaSettings]:
    """A node with a listener in the clear for its own use, and one that asks for a certificate: how to reach that one."""
    assert start_kafka  # skips, or fails, where Kafka cannot run
    directory = tmp_path_factory.mktemp("mutual-kafka")
    trusted = {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca_file),
        "ssl.client.auth": "required",
    }
    with encrypted_kafka(directory, authority, "SSL", trusted) as (_, encrypted):
        yield KafkaSettings(
            bootstrap_servers=encrypted,
            security_protocol="SSL",
            ssl_cafile=authority.ca_file,
            ssl_certfile=authority.certificate(CLIENT, password=KEY_PASSWORD),
            ssl_key_password=SecretStr(KEY_PASSWORD),
            session_timeout_ms=6_000,
        )


def test_with_its_certificate_every_kafka_python_client_is_let_in(mutual: KafkaSettings) -> None:
    ensure_topics(mutual)
    admin = connect_admin(mutual)
    wait_until(lambda: set(topic_settings(mutual)) <= set(admin.list_topics()), "the topics to be listed")
    admin.close()
    producer = AcknowledgedProducer(mutual)
    producer.send_all([Outgoing(mutual.topics[0], b"k", b"mutual")])
    producer.close()
    probe = LagProbe(mutual)
    places = [TopicPartition(mutual.topics[0], number) for number in range(mutual.partitions)]
    assert sum(probe.ends_of(places).values()) == 1
    probe.close()
    consumer = BlockConsumer(mutual, WorkerSettings())

    def joined() -> bool:
        consumer.poll(0.1)
        return consumer.assigned == mutual.partitions * len(mutual.topics)

    wait_until(joined, "the consumer to own its partitions")
    consumer.close()


def test_alerts_get_in_with_it(mutual: KafkaSettings) -> None:
    ensure_topics(mutual)

    async def produced() -> bool:
        app = faust_app(Settings(kafka=mutual), 1)
        await app.producer.start()
        sent = await app.producer.send(mutual.topics[0], b"k", b"mutual", None, None, None)
        answer = await sent
        await app.producer.stop()
        return answer.offset >= 0

    assert asyncio.run(produced())


def test_the_key_may_lie_in_a_file_of_its_own(mutual: KafkaSettings, authority: Authority, tmp_path: Path) -> None:
    whole = authority.certificate(CLIENT).read_text()
    end = whole.index("-----BEGIN CERTIFICATE-----")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    key.write_text(whole[:end])
    chain.write_text(whole[end:])
    apart = mutual.model_copy(update={"ssl_certfile": chain, "ssl_keyfile": key, "ssl_key_password": None})
    connect_admin(apart).close()


def test_without_a_certificate_a_client_is_told_that_one_is_asked_for(mutual: KafkaSettings) -> None:
    without = mutual.model_copy(update={"ssl_certfile": None})
    with pytest.raises(BrokerUnavailable, match=r"asks for a client's certificate .*; set VOXPOP_KAFKA__SSL_CERTFILE"):
        connect_admin(without, timeout_s=2)
    with pytest.raises(BrokerUnavailable):
        connect_producer(without, timeout_s=1)


def test_a_certificate_of_another_authority_is_told_apart(mutual: KafkaSettings, tmp_path: Path) -> None:
    other = Authority(tmp_path).certificate(CLIENT)
    with pytest.raises(BrokerUnavailable, match=f"does not take the client's certificate {other}") as refused:
        connect_admin(mutual.model_copy(update={"ssl_certfile": other, "ssl_key_password": None}), timeout_s=2)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("password", [None, SecretStr("wrong-" + KEY_PASSWORD)])
def test_a_key_that_does_not_open_is_named_without_its_password(
    mutual: KafkaSettings, password: SecretStr | None
) -> None:
    with pytest.raises(UsageError, match=r"cannot be used with its key .*SSL_KEY_PASSWORD") as refused:
        connect_admin(mutual.model_copy(update={"ssl_key_password": password}))
    assert KEY_PASSWORD not in str(refused.value)


@pytest.mark.parametrize("setting", ["ssl_certfile", "ssl_keyfile"])
def test_a_file_that_is_not_there_is_named(mutual: KafkaSettings, tmp_path: Path, setting: str) -> None:
    with pytest.raises(UsageError, match=f"VOXPOP_KAFKA__{setting.upper()} names .*which is no file; correct it"):
        connect_admin(mutual.model_copy(update={setting: tmp_path / "nosuch.pem"}))
