"""What an operator and a producer do to a cluster, and what they see of a group."""

import json
from collections.abc import Iterable

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

from tests.by_hand import HandWorker, review, wait_until
from workers.settings import Settings
from workers.stream.blocks import Block, intent_partitions, settlement


class Cluster:
    """One test's topic and group. `partition` is the topic's first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic = settings.kafka.topics[0]
        self.partition = TopicPartition(self.topic, 0)
        address = settings.kafka.bootstrap_servers
        self.admin = KafkaAdminClient(bootstrap_servers=address)
        self._producer = self._connect_producer()
        self._looking = KafkaConsumer(
            bootstrap_servers=address, group_id=settings.kafka.group_id, enable_auto_commit=False
        )

    def send(self, values: Iterable[bytes | None], *, partition: int = 0, keys: Iterable[bytes] | None = None) -> None:
        """Appends messages and returns when the topic has them."""
        keyed = zip(values, keys, strict=True) if keys else ((value, b"key") for value in values)
        futures = [self._producer.send(self.topic, value=v, key=k, partition=partition) for v, k in keyed]
        for future in futures:
            future.get(timeout=30)

    def send_reviews(self, numbers: Iterable[int], *, partition: int = 0) -> None:
        self.send(map(review, numbers), partition=partition)

    def committed(self, partition: int = 0) -> int | None:
        """Where the group stands, by the coordinator's word."""
        place = TopicPartition(self.topic, partition)
        found: int | None = self._looking.committed(place)
        return found

    def declared(self, partition: int = 0) -> int | None:
        """Up to where a block was declared."""
        _, end = intent_partitions(TopicPartition(self.topic, partition))
        found: int | None = self._looking.committed(end)
        return found

    def end(self, partition: int = 0) -> int:
        """Where the next message will lie."""
        place = TopicPartition(self.topic, partition)
        found: int = self._looking.end_offsets([place])[place]
        return found

    def caught_up(self, partitions: int = 1) -> bool:
        """Whether the group's lag is 0."""
        return all(self.committed(p) == self.end(p) for p in range(partitions))

    def reset(self, offset: int) -> None:
        """What `kafka-consumer-groups --reset-offsets --topic` does; the group must be empty."""
        done = self.admin.alter_group_offsets(
            self._settings.kafka.group_id, {self.partition: OffsetAndMetadata(offset, "", -1)}
        )
        assert all(not getattr(error, "errno", 0) for error in done.values()), done

    def make_anew(self) -> None:
        """Deletes the topic and creates it again: its offsets start at zero."""
        self.admin.delete_topics([self.topic])
        wait_until(lambda: self.topic not in self._topics(), "the topic to be gone")
        self.create(self.topic)

    def create(self, topic: str, partitions: int = 1, **configs: str) -> None:
        named = {name.replace("_", "."): value for name, value in configs.items()}
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=named)])

    def add_partitions(self, total: int) -> None:
        self.admin.create_partitions({self.topic: NewPartitions(total)})
        wait_until(lambda: len(self._partitions()) == total, "the new partitions")
        self._producer.close()
        self._producer = self._connect_producer()  # the old one would learn of them minutes later

    def _connect_producer(self) -> KafkaProducer:
        return KafkaProducer(bootstrap_servers=self._settings.kafka.bootstrap_servers, acks="all", linger_ms=5)

    def _partitions(self) -> list[int]:
        (described,) = self.admin.describe_topics([self.topic])
        return [partition["partition_index"] for partition in described["partitions"]]

    def alter(self, **configs: str) -> None:
        """Changes the topic's settings; a dot is written as an underscore."""
        named = {name.replace("_", "."): value for name, value in configs.items()}
        self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic, named)])

    def declare(self, first: int, end: int) -> None:
        """What a worker leaves behind that dies after it has declared [first, end)."""
        block = Block(self.topic, "", 0, first, end, ())
        self._looking.commit(settlement((), [block]))

    def messages(self) -> list[int]:
        """The numbers of the reviews that the topic's first partition holds, in order."""
        reading = KafkaConsumer(
            bootstrap_servers=self._settings.kafka.bootstrap_servers, isolation_level="read_committed"
        )
        reading.assign([self.partition])
        reading.seek_to_beginning(self.partition)
        found: list[int] = []

        def at_end() -> bool:
            for record in reading.poll(timeout_ms=100).get(self.partition, ()):
                found.append(int(json.loads(record.value)["id"].removeprefix("e-")))
            return bool(reading.position(self.partition) >= self.end())

        wait_until(at_end, "the end of the topic")
        reading.close()
        return found

    def wait_until_compacted(self, below: int) -> None:
        """Until the topic holds fewer messages than that; a new segment begins only when something is appended."""
        number = 100

        def compacted() -> bool:
            nonlocal number
            self.send([review(number)], keys=[b"last"])
            number += 1
            return len(self.messages()) < below

        wait_until(compacted, "the topic to be compacted")

    def delete_before(self, offset: int) -> None:
        """What retention does."""
        self.admin.delete_records({self.partition: offset})

    def evict(self, worker: HandWorker) -> None:
        """Ends a worker's session at the coordinator, as if it had been silent for too long, and leaves it unaware."""
        coordinator = worker.consumer._consumer._coordinator
        coordinator._disable_heartbeat()
        member = MemberToRemove(member_id=coordinator._generation.member_id)
        self.admin.remove_group_members(self._settings.kafka.group_id, [member])

    @staticmethod
    def wake(worker: HandWorker) -> None:
        """Lets an evicted worker's heartbeats go on: it is told then that it has been evicted."""
        worker.consumer._consumer._coordinator._enable_heartbeat()

    def _topics(self) -> list[str]:
        return [topic["name"] for topic in self.admin.describe_topics() if not topic["error_code"]]

    def close(self) -> None:
        self._producer.close()
        self._looking.close()
        self.admin.close()
