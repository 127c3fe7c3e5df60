"""Insights and dead letters as ClickHouse columns. A test holds these names and types equal to the migrations'."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from schemas.alerts import Alert
from schemas.insights import DeadLetter, Insight

_SENTIMENT = "Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1)"
WORD = "LowCardinality(String)"
TIME = "DateTime64(3, 'UTC')"
JUDGED = ("judged", "UInt32")  # how often a row's event has been judged again; the position and this name a row


class Column(NamedTuple):
    """A table's column, and how its value is read off a row's model."""

    name: str
    type: str
    value: Callable[[Any], Any]


def _insight(name: str, type_: str, value: Callable[[Insight], Any]) -> Column:
    return Column(name, type_, value)


def _dead_letter(name: str, type_: str, value: Callable[[DeadLetter], Any]) -> Column:
    return Column(name, type_, value)


INSIGHT_COLUMNS: tuple[Column, ...] = (
    _insight("topic", "LowCardinality(String)", lambda i: i.topic),
    _insight("topic_id", "LowCardinality(String)", lambda i: i.topic_id),
    _insight("partition", "UInt32", lambda i: i.partition),
    _insight("offset", "UInt64", lambda i: i.offset),
    _insight("event_id", "String", lambda i: i.event_id),
    _insight("content_hash", "String", lambda i: i.content_hash),
    _insight("kind", "LowCardinality(String)", lambda i: i.kind),
    _insight("source", "LowCardinality(String)", lambda i: i.source),
    _insight("product", "LowCardinality(String)", lambda i: i.product),
    _insight("text", "String", lambda i: i.text),
    _insight("title", "String", lambda i: i.title),
    _insight("rating", "Nullable(Float32)", lambda i: i.rating),
    _insight("author", "String", lambda i: i.author),
    _insight("url", "String", lambda i: i.url),
    _insight("metadata", "Map(LowCardinality(String), String)", lambda i: i.metadata),
    _insight("language", "LowCardinality(String)", lambda i: i.language),
    _insight("sentiment", _SENTIMENT, lambda i: i.sentiment.label),
    _insight("sentiment_score", "Float32", lambda i: i.sentiment.score),
    _insight("sentiment_confidence", "Float32", lambda i: i.sentiment.confidence),
    _insight("aspects.aspect", "Array(LowCardinality(String))", lambda i: [a.aspect for a in i.aspects]),
    _insight("aspects.sentiment", f"Array({_SENTIMENT})", lambda i: [a.sentiment for a in i.aspects]),
    _insight("aspects.confidence", "Array(Float32)", lambda i: [a.confidence for a in i.aspects]),
    _insight("aspects.start", "Array(UInt32)", lambda i: [a.evidence.start for a in i.aspects]),
    _insight("aspects.end", "Array(UInt32)", lambda i: [a.evidence.end for a in i.aspects]),
    _insight("intents", "Array(LowCardinality(String))", lambda i: list(i.intents)),
    _insight("emotion", "LowCardinality(String)", lambda i: i.emotion),
    _insight("urgency", "Float32", lambda i: i.urgency),
    _insight("toxicity", "Float32", lambda i: i.toxicity),
    _insight("headline", "String", lambda i: i.headline),
    _insight("method", "Enum8('none' = 0, 'extractive' = 1, 'abstractive' = 2)", lambda i: str(i.method)),
    _insight("pack", "LowCardinality(String)", lambda i: i.pack),
    _insight("pack_version", "LowCardinality(String)", lambda i: i.pack_version),
    _insight("route", "LowCardinality(String)", lambda i: str(i.route)),
    _insight("redactions", "Map(LowCardinality(String), UInt16)", lambda i: i.redactions),
    _insight("flags", "Array(LowCardinality(String))", lambda i: list(i.flags)),
    _insight(
        "labels",
        "Map(LowCardinality(String), Array(LowCardinality(String)))",
        lambda i: {head: list(given) for head, given in i.labels.items()},
    ),
    _insight("topic_vector", "Array(Int8)", lambda i: i.topic_vector),
    _insight("event_time", TIME, lambda i: i.event_time),
    _insight("ingested_at", TIME, lambda i: i.ingested_at),
)

DEAD_LETTER_COLUMNS: tuple[Column, ...] = (
    _dead_letter("topic", "LowCardinality(String)", lambda d: d.position.topic),
    _dead_letter("topic_id", "LowCardinality(String)", lambda d: d.position.topic_id),
    _dead_letter("partition", "UInt32", lambda d: d.position.partition),
    _dead_letter("offset", "UInt64", lambda d: d.position.offset),
    _dead_letter("key", "Nullable(String)", lambda d: d.key),
    _dead_letter("value", "Nullable(String)", lambda d: d.value),
    _dead_letter(
        "headers", "Array(Tuple(name String, value String))", lambda d: [(n.encode(), v) for n, v in d.headers]
    ),
    _dead_letter("reason", "LowCardinality(String)", lambda d: str(d.reason)),
    _dead_letter("sentence", "String", lambda d: d.sentence),
    _dead_letter("failed_at", TIME, lambda d: d.failed_at),
)


EVENT_KEY_COLUMNS: tuple[Column, ...] = (
    Column("source", "LowCardinality(String)", lambda v: v.source),
    Column("event_id", "String", lambda v: v.event_id),
    Column("topic", "LowCardinality(String)", lambda v: v.position.topic),
    Column("topic_id", "LowCardinality(String)", lambda v: v.position.topic_id),
    Column("partition", "UInt32", lambda v: v.position.partition),
    Column("offset", "UInt64", lambda v: v.position.offset),
    Column("content_hash", "String", lambda v: v.content_hash),
    Column("product", "LowCardinality(String)", lambda v: v.product),
    Column("event_time", TIME, lambda v: v.event_time),
)

CLAIM_COLUMNS = EVENT_KEY_COLUMNS[:6]  # of an update: its event, and the position of its message

RETRACTION_COLUMNS: tuple[tuple[str, str], ...] = (
    ("source", "LowCardinality(String)"),
    ("event_id", "String"),
    ("topic", "LowCardinality(String)"),
    ("topic_id", "LowCardinality(String)"),
    ("partition", "UInt32"),
    ("offset", "UInt64"),
    ("product", "LowCardinality(String)"),
    ("language", "LowCardinality(String)"),
    ("event_time", TIME),
    ("rating", "Nullable(Float32)"),
    ("sentiment", _SENTIMENT),
    ("sentiment_score", "Float32"),
    ("urgency", "Float32"),
    ("aspects.aspect", "Array(LowCardinality(String))"),
    ("aspects.sentiment", f"Array({_SENTIMENT})"),
    ("sentiment_confidence", "Float32"),
    ("emotion", "LowCardinality(String)"),
    ("flags", "Array(LowCardinality(String))"),
    ("pack", "LowCardinality(String)"),
    ("pack_version", "LowCardinality(String)"),
    JUDGED,
)


def _alert(name: str, type_: str, value: Callable[[Alert], Any]) -> Column:
    return Column(name, type_, value)


ALERT_COLUMNS: tuple[Column, ...] = (
    _alert("alert_id", "String", lambda a: a.alert_id),
    _alert("revision", "UInt32", lambda a: a.revision),
    _alert("status", WORD, lambda a: str(a.status)),
    _alert("product", WORD, lambda a: a.product),
    _alert("aspect", WORD, lambda a: a.aspect),
    _alert("source", WORD, lambda a: a.source),
    _alert("kind", WORD, lambda a: str(a.kind)),
    _alert("window_start", "DateTime('UTC')", lambda a: a.window_start),
    _alert("window_end", "DateTime('UTC')", lambda a: a.window_end),
    _alert("closed_at", "Nullable(DateTime('UTC'))", lambda a: a.closed_at),
    _alert("closed_because", WORD, lambda a: a.closed_because),
    _alert("observed", "Float64", lambda a: float(a.leading.observed)),
    _alert("texts", "UInt64", lambda a: a.leading.texts),
    _alert("expected", "Float64", lambda a: a.leading.expected),
    _alert("p_value", "Float64", lambda a: a.leading.p_value),
    _alert("level", "Float64", lambda a: a.leading.level),
    _alert("test", WORD, lambda a: a.leading.test),
    _alert("severity", WORD, lambda a: a.severity),
    _alert("signals.kind", f"Array({WORD})", lambda a: [str(s.kind) for s in a.signals]),
    _alert("signals.aspect", f"Array({WORD})", lambda a: [s.aspect for s in a.signals]),
    _alert("signals.observed", "Array(UInt64)", lambda a: [s.observed for s in a.signals]),
    _alert("signals.texts", "Array(UInt64)", lambda a: [s.texts for s in a.signals]),
    _alert("signals.expected", "Array(Float64)", lambda a: [s.expected for s in a.signals]),
    _alert("signals.p_value", "Array(Float64)", lambda a: [s.p_value for s in a.signals]),
    _alert("event_ids", "Array(String)", lambda a: [e.event_id for e in a.examples]),
    _alert("sources", "Array(String)", lambda a: [e.source for e in a.examples]),
    _alert("quotes", "Array(String)", lambda a: [e.quote for e in a.examples]),
)


def as_columns(columns: Sequence[Column], rows: Sequence[Any]) -> list[list[Any]]:
    """One list of `len(rows)` values per column, in the order of `columns`."""
    return [[column.value(row) for row in rows] for column in columns]
