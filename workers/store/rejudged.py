"""A row that was judged again, and how the row whose place it takes is told from it."""

from collections.abc import Collection
from typing import Any, NamedTuple

from schemas.insights import Insight


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


# Rows of `insights`, `aspect_mentions` or `retractions`; product and time only narrow what has to be read.
AT_ROWS = (
    "product IN {products:Array(String)} AND toUnixTimestamp64Milli(event_time) IN {times_ms:Array(Int64)}"
    " AND (topic, topic_id, partition, offset, judged) IN {rows:Array(Tuple(String, String, UInt32, UInt64, UInt32))}"
)


def old_rows(rows: Collection[Rejudged]) -> dict[str, Any]:
    """The parameters of `AT_ROWS` for the rows whose place these take."""
    return _narrowed(rows) | {"rows": [each.old_row for each in rows]}


def new_rows(rows: Collection[Rejudged]) -> dict[str, Any]:
    """The parameters of `AT_ROWS` for these rows themselves."""
    return _narrowed(rows) | {"rows": [each.row for each in rows]}


def _narrowed(rows: Collection[Rejudged]) -> dict[str, Any]:
    return {
        "products": sorted({each.insight.product for each in rows}),
        "times_ms": sorted({round(each.insight.event_time.timestamp() * 1000) for each in rows}),
    }
