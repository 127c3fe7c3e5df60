"""The statements behind Quality and Review: whether texts arrive, what could not be used, how sure the model is."""

from typing import Any

from dashboards.parameters import Window
from dashboards.statements import TEXT_COLUMNS, Statement

_DAYS = "day BETWEEN {first:Date} AND {last:Date}"


def throughput(minutes: int) -> Statement:
    """A row per minute of the last `minutes` in which events came in: (milliseconds since 1970, events). An event that was
    judged again has several lines of the same position."""
    sql = (
        "SELECT toInt64(toUnixTimestamp(toStartOfMinute(ingested_at))) * 1000 AS minute_ms,"
        " uniqExact(sipHash64(topic, topic_id, partition, offset)) FROM event_keys"
        " WHERE ingested_at >= toStartOfMinute(now() - toIntervalMinute({minutes:UInt32})) GROUP BY minute_ms ORDER BY 1"
    )
    return Statement(sql, {"minutes": minutes})


def latest() -> Statement:
    """One row: now and when the latest event came in, in milliseconds since 1970 by ClickHouse's clock, and all events."""
    sql = (
        "SELECT toUnixTimestamp64Milli(now64(3)), toUnixTimestamp64Milli(max(ingested_at)),"
        " (SELECT sum(texts) FROM judgements_daily) FROM event_keys"
    )
    return Statement(sql, {})


def dead_letter_reasons() -> Statement:
    """A row per reason: (reason, how many, the latest in milliseconds since 1970). No bytes."""
    sql = (
        "SELECT reason, count() AS letters, toUnixTimestamp64Milli(max(failed_at)) FROM dead_letters"
        " GROUP BY reason ORDER BY letters DESC, reason"
    )
    return Statement(sql, {})


def dead_letters(limit: int) -> Statement:
    """The latest: (topic, partition, offset, reason, sentence, milliseconds since 1970). Never key, value or headers."""
    sql = (
        "SELECT topic, partition, offset, reason, sentence, toUnixTimestamp64Milli(failed_at) FROM dead_letters"
        " ORDER BY failed_at DESC, topic, partition, offset LIMIT {limit:UInt32}"
    )
    return Statement(sql, {"limit": limit})


def packs(window: Window) -> Statement:
    """A row per pack and version: (pack, version, texts, latest text's arrival in milliseconds since 1970)."""
    sql = (
        "SELECT pack, pack_version, sum(j.texts) AS judged, toUnixTimestamp64Milli(max(latest)) AS latest_ms"  # noqa: S608
        f" FROM judgements_daily AS j WHERE {_DAYS} GROUP BY pack, pack_version HAVING judged > 0"
        " ORDER BY latest_ms DESC, pack, pack_version"
    )
    return Statement(sql, _in(window))


def certainty(window: Window) -> Statement:
    """A row per day: (day, texts, mean confidence, texts judged unsure, texts without an emotion sure enough)."""
    sql = (
        "SELECT day, sum(j.texts) AS judged, sum(j.confidence_sum) / judged, sum(j.unsure), sum(j.no_emotion)"  # noqa: S608
        f" FROM judgements_daily AS j WHERE {_DAYS} GROUP BY day HAVING judged > 0 ORDER BY day"
    )
    return Statement(sql, _in(window))


def judgements(window: Window) -> Statement:
    """A row per day, language and band of confidence (tenths, 0…9): (day, language, band, negative, neutral, positive)."""
    sql = (
        "SELECT day, language, band, sum(j.negative), sum(j.neutral), sum(j.positive) FROM judgements_daily AS j"  # noqa: S608
        f" WHERE {_DAYS} GROUP BY day, language, band HAVING sum(j.texts) > 0 ORDER BY day, language, band"
    )
    return Statement(sql, _in(window))


def topics(window: Window) -> Statement:
    """A row per day and pack: (day, pack, texts, sum of their topic vectors as stored)."""
    sql = (
        "SELECT day, pack, sum(t.texts), sumForEachMerge(t.vectors) FROM topics_daily AS t"  # noqa: S608
        f" WHERE {_DAYS} GROUP BY day, pack ORDER BY day, pack"
    )
    return Statement(sql, _in(window))


def to_review(window: Window, product: str | None, limit: int) -> Statement:
    """Rows of TEXT_COLUMNS: the texts that the model was least sure of and that nobody has looked at yet."""
    sql = (
        f"SELECT {', '.join(TEXT_COLUMNS)} FROM insights WHERE toDate(event_time) BETWEEN {{first:Date}} AND {{last:Date}}"  # noqa: S608
        f"{' AND product = {product:String}' if product else ''}"
        " AND (source, event_id, content_hash) NOT IN (SELECT source, event_id, content_hash FROM feedback)"
        " ORDER BY sentiment_confidence, event_time DESC, topic, topic_id, partition, offset LIMIT {limit:UInt32}"
    )
    return Statement(sql, _in(window) | {"product": product, "limit": limit})


def judged(source: str, event_id: str) -> Statement:
    """At most one row: (content hash, product, sentiment, confidence, pack, version). The keys say where it lies."""
    here = "source = {source:String} AND event_id = {event_id:String}"
    sql = (
        "SELECT content_hash, product, toString(sentiment), sentiment_confidence, pack, pack_version FROM insights"  # noqa: S608
        f" WHERE (product, event_time) IN (SELECT product, event_time FROM event_keys WHERE {here}) AND {here}"
        " ORDER BY judged DESC, ingested_at DESC LIMIT 1"
    )
    return Statement(sql, {"source": source, "event_id": event_id})


def _in(window: Window) -> dict[str, Any]:
    return {"first": window.first.isoformat(), "last": window.last.isoformat()}
