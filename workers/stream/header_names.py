"""Header names that are not UTF-8, which any client may send: read as Kafka's own Java client reads them.

kafka-python 3.0.12 calls such a record corrupt, and its consumer then never gets past it: one message would stop a
partition for ever. Java puts U+FFFD where a byte makes no sense. So do we, for the rest of the batch that such a name is in.
"""

from typing import Any, SupportsIndex

from kafka.record.default_records import DefaultRecordBatch

_read = DefaultRecordBatch._read_msg


class _Replacing(bytes):
    """Bytes whose slices decode whatever they hold."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        return _Replacing(found) if isinstance(found, bytes) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def _read_any_name(batch: Any) -> Any:
    try:
        return _read(batch)
    except UnicodeDecodeError:
        batch._buffer = _Replacing(batch._buffer)
        return _read(batch)


def accept_any_header_name() -> None:
    """From now on, for every consumer of this process. Doing so again changes nothing."""
    DefaultRecordBatch._read_msg = _read_any_name
