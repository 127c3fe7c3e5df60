"""A row that is to be erased, as a page of `voxpop erase` names it."""

import json
from datetime import UTC, datetime
from typing import NamedTuple, Self


class ErasedRow(NamedTuple):
    """A row of `insights` by its event, its position and how often it was judged again.

    `counted` is whether its figures are in the aggregates: not when an update that never came to its end took them off.
    """

    source: str
    event_id: str
    topic: str
    topic_id: str
    partition: int
    offset: int
    product: str
    event_time: datetime
    judged: int
    counted: bool = True

    @property
    def old_row(self) -> tuple[str, str, int, int, int]:
        """What names it among all rows: topic, topic id, partition, offset, judged."""
        return self.topic, self.topic_id, self.partition, self.offset, self.judged

    def to_json(self) -> str:
        """Everything but source and event id, which a page has columns for."""
        rest = self._asdict() | {"event_time": round(self.event_time.timestamp() * 1000)}
        return json.dumps({name: value for name, value in rest.items() if name not in ("source", "event_id")})

    @classmethod
    def from_json(cls, source: str, event_id: str, told: str) -> Self:
        """The row that `to_json` has told."""
        rest = json.loads(told)
        moment = datetime.fromtimestamp(rest.pop("event_time") / 1000, UTC)
        return cls(source=source, event_id=event_id, event_time=moment, **rest)
