"""Which partition a message goes to: Kafka's own choice by the key, remembered for the keys that come again and again."""

from functools import lru_cache
from typing import Any

from kafka.cluster import ClusterMetadata
from kafka.partitioner.default import DefaultPartitioner, murmur2

_POSITIVE = 0x7FFFFFFF  # as the Java client masks the hash


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc]
    """The default partitioner's answers. It hashes a key in Python anew for every message; products are few."""

    def partition(
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: ClusterMetadata,
    ) -> int:
        partitions = cluster.partitions_for_topic(topic)
        if serialized_key is None or not partitions:
            return int(super().partition(topic, key, serialized_key, value, serialized_value, cluster))
        return int(sorted(partitions)[_hash(serialized_key) % len(partitions)])


@lru_cache(maxsize=16_384)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & _POSITIVE
