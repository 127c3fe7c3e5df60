"""A consumer slower than its topic: partitions pause and resume, and every message comes, once and in order."""

import threading
import time
from collections import defaultdict
from pathlib import Path

from kafka import TopicPartition

from workers.embedded.broker import SESSION_TIMEOUT_MS, EmbeddedBroker
from workers.settings import KafkaSettings, Settings, WorkerSettings
from workers.stream.blocks import Block
from workers.stream.consume import BlockConsumer
from workers.stream.produce import AcknowledgedProducer, Outgoing
from workers.stream.topics import ensure_topics

COUNT = 6_000
PARTITIONS = 4


def test_a_slow_consumer_gets_every_message_once_and_in_order(tmp_path: Path) -> None:
    with EmbeddedBroker.start(tmp_path / "broker.log") as broker:
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, session_timeout_ms=SESSION_TIMEOUT_MS, partitions=PARTITIONS
        )
        settings = Settings(kafka=kafka, worker=WorkerSettings(block_records=100))
        ensure_topics(kafka)
        producer = AcknowledgedProducer(kafka)
        messages = [Outgoing("voxpop.reviews", f"{i % 23}".encode(), f"{i:<400}".encode()) for i in range(COUNT)]
        feed = threading.Thread(target=producer.send_all, args=(messages,))
        feed.start()
        consumer = BlockConsumer(kafka, settings.worker)
        ranges: dict[int, list[tuple[int, int]]] = defaultdict(list)
        values: dict[int, list[int]] = defaultdict(list)
        taken, busy_until = 0, 0.0
        ever_paused: set[TopicPartition] = set()
        done: list[Block] = []
        deadline = time.monotonic() + 60
        while taken < COUNT:
            assert time.monotonic() < deadline, f"only {taken} of {COUNT} messages came"
            consumer.poll(0.02)
            ever_paused |= consumer._consumer.paused()
            if time.monotonic() < busy_until:
                continue
            done = consumer.settle(done, consumer.cut())
            taken += sum(len(block.messages) for block in done)
            for block in done:
                ranges[block.partition].append((block.first, block.end))
                values[block.partition].extend(int(message.value or b"-1") for message in block.messages)
            busy_until = time.monotonic() + (0.1 if done else 0)
        consumer.close()
        feed.join()
        producer.close()
    assert len(ever_paused) == PARTITIONS, "not every partition was ever paused: nothing was proven"
    assert sorted(number for numbers in values.values() for number in numbers) == list(range(COUNT))
    assert all(numbers == sorted(numbers) for numbers in values.values())
    for blocks in ranges.values():
        assert [first for first, _ in blocks] == [0, *[end for _, end in blocks[:-1]]]
