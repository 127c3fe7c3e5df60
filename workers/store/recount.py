"""Every aggregate beside what it must equal: the same figures counted anew from the rows."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from workers.store.over import removed_until
from workers.store.query import Reader

AHEAD = timedelta(days=1)  # of a text's own time before its ingestion, at most

# Aggregate -> what it must equal, recounted from the rows.
RECOUNTS = {
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


def differing(reader: Reader) -> dict[str, list[tuple[Any, ...]]]:
    """Of each aggregate the lines in which it and the recount differ; none where they are equal.

    While workers write, a block's rows are there some milliseconds before its figures. Lines of days that retention may have
    taken texts from are left out: their figures stay, and the rows to recount them from are gone.
    """
    until = max(removed_until(reader).values(), default=None)
    last_day = date.min if until is None else (until + AHEAD).astimezone(UTC).date()
    found = {}
    for name, (aggregate, recount) in RECOUNTS.items():
        left, right = (Counter(tuple(row) for row in reader.select(sql).result_rows) for sql in (aggregate, recount))
        lines = ((left - right) + (right - left)).elements()
        found[name] = sorted((line for line in lines if _day_of(line) > last_day), key=str)
    return found


def _day_of(line: tuple[Any, ...]) -> date:
    """The day of a line, which comes first; a line of something else is of every day."""
    first = line[0]
    if isinstance(first, datetime):
        return first.date()
    return first if isinstance(first, date) else date.max
