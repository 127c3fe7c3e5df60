"""The embedded broker cannot add partitions to a topic, the intents topic included; its blocks are declared all the same."""

from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.by_hand import wait_until
from workers.embedded.broker import SESSION_TIMEOUT_MS, EmbeddedBroker
from workers.settings import KafkaSettings, WorkerSettings
from workers.stream.blocks import Block
from workers.stream.consume import BlockConsumer
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics


def test_blocks_of_partitions_that_the_intents_topic_lacks_are_declared_and_found_by_the_next_owner(
    tmp_path: Path,
) -> None:
    with EmbeddedBroker.start(tmp_path / "broker.log") as broker:
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            partitions=1,
            topics=("reviews",),
        )
        ensure_topics(kafka)
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        admin.delete_topics(["reviews"])
        admin.create_topics([NewTopic("reviews", 3, 1)])
        admin.close()
        producer = AcknowledgedProducer(kafka)
        producer.send_all(Outgoing("reviews", b"%d" % number, b"x") for number in range(60))
        producer.close()
        first, second = declared_by_a_worker(kafka), declared_by_a_worker(kafka)
    assert sorted(block.partition for block in first) == [0, 1, 2]
    assert {block.token for block in second} == {block.token for block in first}
    assert all(block.repeated for block in second)


def declared_by_a_worker(kafka: KafkaSettings) -> list[Block]:
    """The first block of each partition, by a worker that ends without having inserted it."""
    consumer = BlockConsumer(kafka, WorkerSettings(block_records=5))
    declared: list[Block] = []

    def three() -> bool:
        consumer.poll(0.02)
        declared.extend(consumer.settle((), [b for b in consumer.cut() if not any(b.first == d.end for d in declared)]))
        return len(declared) == 3

    wait_until(three, "a block of each partition")
    consumer.close()
    return declared
