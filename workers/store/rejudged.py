"""A row that was judged again, and how the row whose place it takes is told from it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from schemas.insights import Insight
from workers.store.erased_row import ErasedRow


class Rejudged(NamedTuple):
    """A new row for a version of an event that is stored, judged again for the `judged`th time.

    The row whose place it takes has the same position and content, and one less.
    """

    insight: Insight
    judged: int

    @property
    def row(self) -> tuple[str, str, int, int, int]:
        """What names it among all rows: topic, topic id, partition, offset, judged."""
        new = self.insight
        return new.topic, new.topic_id, new.partition, new.offset, self.judged

    @property
    def old_row(self) -> tuple[str, str, int, int, int]:
        """What names the row whose place it takes."""
        return (*self.row[:4], self.judged - 1)

    @property
    def product(self) -> str:
        return self.insight.product

    @property
    def event_time(self) -> datetime:
        return self.insight.event_time


# Rows of `insights`, `aspect_mentions` or `retractions`; product and time only narrow what has to be read.
AT_ROWS = (
    "product IN {products:Array(String)} AND toUnixTimestamp64Milli(event_time) IN {times_ms:Array(Int64)}"
    " AND (topic, topic_id, partition, offset, judged) IN {rows:Array(Tuple(String, String, UInt32, UInt64, UInt32))}"
)


def old_rows(rows: Collection[Rejudged | ErasedRow]) -> dict[str, Any]:
    """The parameters of `AT_ROWS` for the rows whose place these take, or which are to be erased."""
    return _narrowed(rows) | {"rows": [each.old_row for each in rows]}


def new_rows(rows: Collection[Rejudged]) -> dict[str, Any]:
    """The parameters of `AT_ROWS` for these rows themselves."""
    return _narrowed(rows) | {"rows": [each.row for each in rows]}


def _narrowed(rows: Collection[Rejudged | ErasedRow]) -> dict[str, Any]:
    return {
        "products": sorted({each.product for each in rows}),
        "times_ms": sorted({round(each.event_time.timestamp() * 1000) for each in rows}),
    }
