"""Whether every promise held: what the tables, the aggregates and the topics hold against what was sent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.chaos.known_stream import Expected
from workers.store.query import Reader
from workers.store.recount import differing


@dataclass(slots=True)
class Verdict:
    """Counts of broken promises; all zero when every one held. `examples` name a few of each."""

    lost: int = 0
    doubled: int = 0
    stale: int = 0
    aggregate_mismatches: int = 0
    dead_letters_lost: int = 0
    dead_letters_doubled: int = 0
    not_in_topic: int = 0
    uncommitted: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether every promise held."""
        return not any(getattr(self, name) for name in self.__slots__ if name != "examples")

    def note(self, what: str, found: Sequence[Any]) -> int:
        """Remembers a few of what was found; how many there are."""
        if found:
            self.examples[what] = [str(each) for each in found[:5]]
        return len(found)


def judge_outcome(
    reader: Reader, expected: Expected, positions_in_topic: set[tuple[int, int]] | None, uncommitted: int
) -> Verdict:
    """Compares everything. `positions_in_topic` are the (partition, offset)s of the insights that the topic holds."""
    verdict = Verdict(uncommitted=uncommitted)
    rows = _rows(reader, "SELECT event_id, text, partition, offset FROM insights")
    seen = Counter(event_id for event_id, *_ in rows)
    verdict.lost = verdict.note("lost", sorted(expected.texts.keys() - seen.keys()))
    verdict.doubled = verdict.note("doubled", [event_id for event_id, count in seen.items() if count > 1])
    verdict.doubled += verdict.note("unexpected", sorted(seen.keys() - expected.texts.keys()))
    stale = [event_id for event_id, text, *_ in rows if expected.texts.get(event_id, text) != text]
    verdict.stale = verdict.note("stale", stale)
    for name, lines in differing(reader).items():
        verdict.aggregate_mismatches += verdict.note(name, lines)
    _judge_dead_letters(reader, expected, verdict)
    if positions_in_topic is not None:
        missing = sorted({(partition, offset) for *_, partition, offset in rows} - positions_in_topic)
        verdict.not_in_topic = verdict.note("not_in_topic", missing)
    return verdict


def _judge_dead_letters(reader: Reader, expected: Expected, verdict: Verdict) -> None:
    rows = _rows(reader, "SELECT hex(ifNull(value, '')), topic_id, partition, offset FROM dead_letters")
    positions = Counter(row[1:] for row in rows)
    verdict.dead_letters_doubled = verdict.note(
        "dead_letters_doubled", [p for p, count in positions.items() if count > 1]
    )
    stored = Counter(bytes.fromhex(value) for value, *_ in set(rows))
    missing = list((Counter(expected.malformed) - stored).elements())
    verdict.dead_letters_lost = verdict.note("dead_letters_lost", missing)


def _rows(reader: Reader, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in reader.select(sql).result_rows]
