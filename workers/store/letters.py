"""Dead letters by position, with their bytes, and their removal."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from schemas.insights import Position
from workers.store.query import Reader, batched
from workers.store.write import Writer

_READ = 1_000
_AT = "(topic, topic_id, partition, offset)"


class Letters:
    """Those of one ClickHouse. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    def all(self) -> Iterator[tuple[Position, bytes]]:
        """Every one that has bytes, in the order of positions, a thousand at a time."""
        last: tuple[Any, ...] = ("", "", 0, -1)
        sql = (
            "SELECT topic, topic_id, partition, offset, base64Encode(ifNull(value, '')) FROM dead_letters"  # noqa: S608
            " WHERE value IS NOT NULL AND (topic, topic_id, partition, toInt64(offset)) >"
            " ({topic:String}, {topic_id:String}, {partition:UInt32}, {offset:Int64})"
            f" ORDER BY topic, topic_id, partition, offset LIMIT {_READ}"
        )
        while rows := self._reader.rows(
            sql, dict(zip(("topic", "topic_id", "partition", "offset"), last, strict=True))
        ):
            for topic, topic_id, partition, offset, value in rows:
                position = Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset)
                yield position, base64.b64decode(value)
            last = tuple(rows[-1][:4])

    def remove(self, positions: Sequence[Position]) -> None:
        """Those at these positions. Doing so again changes nothing."""
        sql = f"DELETE FROM dead_letters WHERE {_AT} IN {{positions:Array(Tuple(String, String, UInt32, UInt64))}}"  # noqa: S608
        for some in batched(positions, 200):
            named = [(p.topic, p.topic_id, p.partition, p.offset) for p in some]
            self._writer.delete(sql, {"positions": named})
