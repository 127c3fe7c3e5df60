"""A message as Kafka carries it: written into a record batch, byte for byte, and read back by the client's own parser."""

from typing import Any

from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.fuzz.mutate import Mutant

ROOM = 4 << 20


class _RawName(str):
    """A header's name that is written as the bytes it was made of, UTF-8 or not."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, *_: Any) -> bytes:
        return self.raw


def written_and_read(mutant: Mutant) -> Any:
    """The record that kafka-python's consumer reads. Its offset is the mutant's number."""
    headers = []
    for raw, value in mutant.headers:
        name = _RawName(raw.decode("utf-8", "replace"))
        name.raw = raw
        headers.append((name, value))
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, ROOM)
    assert builder.append(0, mutant.timestamp_ms, mutant.key, mutant.value, headers) is not None
    data = builder.build()
    data[0:8] = mutant.number.to_bytes(8, "big")  # the base offset; the checksum begins behind it
    (record,) = MemoryRecords(bytes(data)).next_batch()
    return record
