"""Whether every promise held: what the tables, the aggregates and the topics hold against what was sent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.chaos.known_stream import Expected
from workers.store.query import Reader

# Aggregate -> what it must equal, recounted from the rows.
_RECOUNTS = {
    "sentiment_hourly": (
        "SELECT hour, product, source, language, toInt64(sum(texts)) AS a, toInt64(sum(t.negative)) AS b,"
        " toInt64(sum(t.neutral)) AS c, toInt64(sum(t.positive)) AS d, round(sum(score_sum), 6), round(sum(rating_sum), 2),"
        " toInt64(sum(t.ratings)), toInt64(sum(t.urgent)) FROM sentiment_hourly AS t"
        " GROUP BY hour, product, source, language HAVING (a, b, c, d) != (0, 0, 0, 0)",
        "SELECT toStartOfHour(event_time), product, source, language, toInt64(count()),"
        " toInt64(countIf(sentiment = 'negative')), toInt64(countIf(sentiment = 'neutral')),"
        " toInt64(countIf(sentiment = 'positive')), round(sum(toFloat64(sentiment_score)), 6),"
        " round(sum(toFloat64(ifNull(rating, 0))), 2), toInt64(count(rating)), toInt64(countIf(urgency >= 0.5))"
        " FROM insights GROUP BY 1, product, source, language",
    ),
    "aspects_daily": (
        "SELECT day, product, aspect, toInt64(sum(t.mentions)) AS a, toInt64(sum(t.negative)), toInt64(sum(t.neutral)),"
        " toInt64(sum(t.positive)) FROM aspects_daily AS t GROUP BY day, product, aspect HAVING a != 0",
        "SELECT toDate(event_time), product, m.1, toInt64(count()),"
        " toInt64(countIf(m.2 = 'negative')), toInt64(countIf(m.2 = 'neutral')),"
        " toInt64(countIf(m.2 = 'positive')) FROM insights ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`) AS m"
        " GROUP BY 1, product, m.1",
    ),
    "aspect_mentions": (
        "SELECT product, event_id, aspect, start, end, toInt64(count()) FROM aspect_mentions GROUP BY 1, 2, 3, 4, 5",
        "SELECT product, event_id, a, s, e, toInt64(count()) FROM insights"
        " ARRAY JOIN `aspects.aspect` AS a, `aspects.start` AS s, `aspects.end` AS e GROUP BY 1, 2, 3, 4, 5",
    ),
    "judgements_daily": (
        "SELECT day, language, pack, pack_version, band, toInt64(sum(t.texts)) AS a, toInt64(sum(t.negative)) AS b,"
        " toInt64(sum(t.neutral)) AS c, toInt64(sum(t.positive)) AS d, round(sum(score_sum), 6),"
        " round(sum(confidence_sum), 6), toInt64(sum(t.unsure)), toInt64(sum(t.no_emotion)) FROM judgements_daily AS t"
        " GROUP BY day, language, pack, pack_version, band HAVING (a, b, c, d) != (0, 0, 0, 0)",
        "SELECT toDate(event_time), language, pack, pack_version,"
        " toUInt8(least(floor(sentiment_confidence * 10), 9)) AS band, toInt64(count()),"
        " toInt64(countIf(sentiment = 'negative')), toInt64(countIf(sentiment = 'neutral')),"
        " toInt64(countIf(sentiment = 'positive')), round(sum(toFloat64(sentiment_score)), 6),"
        " round(sum(toFloat64(sentiment_confidence)), 6),"
        " toInt64(countIf(has(flags, 'unsure'))), toInt64(countIf(emotion = ''))"
        " FROM insights GROUP BY 1, language, pack, pack_version, band",
    ),
    "v_product_daily": (
        "SELECT day, product, volume, negative, neutral, positive, urgent FROM v_product_daily",
        "SELECT toDate(event_time), product, count(), countIf(sentiment = 'negative'), countIf(sentiment = 'neutral'),"
        " countIf(sentiment = 'positive'), countIf(urgency >= 0.5) FROM insights GROUP BY 1, product",
    ),
}


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
    for name, (aggregate, recount) in _RECOUNTS.items():
        left, right = Counter(_rows(reader, aggregate)), Counter(_rows(reader, recount))
        differing = sorted(((left - right) + (right - left)).elements(), key=str)
        verdict.aggregate_mismatches += verdict.note(name, differing)
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
