"""Every statement that the dashboard runs. Fragments are chosen, never made, by what is asked; values are bound parameters.

Figures come from the aggregates, and from the view of issues; `insights` itself is read for texts. The other views sum up
every day before they know which are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from dashboards.paging import Key
from dashboards.parameters import TextFilter, Window


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with {name:Type} placeholders, and what is bound to them."""

    sql: str
    parameters: Mapping[str, Any]


def _where(*conditions: str) -> str:
    used = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(used)}" if used else ""


def _in(window: Window) -> dict[str, Any]:
    return {"first": window.first.isoformat(), "last": window.last.isoformat()}


_PRODUCT = "product = {product:String}"
_DAYS = "day BETWEEN {first:Date} AND {last:Date}"
_HOURS = "toDate(hour) BETWEEN {first:Date} AND {last:Date}"
_TIMES = "toDate(event_time) BETWEEN {first:Date} AND {last:Date}"


def latest_day(product: str | None) -> Statement:
    """One row: the latest day with texts, and on how many days there are some."""
    if product:
        days = f"SELECT toDate(hour) AS day FROM sentiment_hourly AS s WHERE {_PRODUCT} GROUP BY day HAVING sum(s.texts) > 0"  # noqa: S608
    else:
        days = "SELECT day FROM judgements_daily AS j GROUP BY day HAVING sum(j.texts) > 0"
    return Statement(f"SELECT max(day), count() FROM ({days})", {"product": product})  # noqa: S608


def totals(window: Window, product: str | None = None) -> Statement:
    """A row per product: (product, texts, negative, neutral, positive, mean score, mean rating or NULL, urgent)."""
    where = _where(_HOURS, _PRODUCT if product else "")
    sql = (
        "SELECT product, sum(s.texts) AS volume, sum(s.negative), sum(s.neutral), sum(s.positive),"  # noqa: S608
        " sum(s.score_sum) / volume, if(sum(s.ratings) = 0, NULL, sum(s.rating_sum) / sum(s.ratings)), sum(s.urgent)"
        f" FROM sentiment_hourly AS s{where} GROUP BY product HAVING volume > 0 ORDER BY volume DESC, product"
    )
    return Statement(sql, _in(window) | {"product": product})


def daily(window: Window, product: str | None = None) -> Statement:
    """A row per day: (day, texts, negative, neutral, positive, mean score)."""
    if product:
        return daily_by_origin(window, product, None, None)
    sql = (
        "SELECT day, sum(j.texts) AS volume, sum(j.negative), sum(j.neutral), sum(j.positive),"  # noqa: S608
        f" sum(j.score_sum) / volume FROM judgements_daily AS j WHERE {_DAYS} GROUP BY day HAVING volume > 0 ORDER BY day"
    )
    return Statement(sql, _in(window))


def daily_by_origin(window: Window, product: str | None, source: str | None, language: str | None) -> Statement:
    """The same of one product, source or language, or several of them."""
    where = _where(
        _HOURS,
        _PRODUCT if product else "",
        "source = {source:String}" if source else "",
        "language = {language:String}" if language else "",
    )
    sql = (
        "SELECT toDate(hour) AS day, sum(s.texts) AS volume, sum(s.negative), sum(s.neutral), sum(s.positive),"  # noqa: S608
        f" sum(s.score_sum) / volume FROM sentiment_hourly AS s{where} GROUP BY day HAVING volume > 0 ORDER BY day"
    )
    return Statement(sql, _in(window) | {"product": product, "source": source, "language": language})


def aspects(window: Window, product: str | None = None) -> Statement:
    """A row per aspect: (aspect, mentions, negative, neutral, positive), most mentioned first."""
    where = _where(_DAYS, _PRODUCT if product else "")
    sql = (
        "SELECT aspect, sum(a.mentions) AS said, sum(a.negative), sum(a.neutral), sum(a.positive)"  # noqa: S608
        f" FROM aspects_daily AS a{where} GROUP BY aspect HAVING said > 0 ORDER BY said DESC, aspect"
    )
    return Statement(sql, _in(window) | {"product": product})


def aspects_of_products(window: Window) -> Statement:
    """A row per product and aspect: (product, aspect, mentions, negative, mentions in the window before)."""
    sql = (
        "SELECT product, aspect, sumIf(a.mentions, day >= {first:Date}) AS said,"
        " sumIf(a.negative, day >= {first:Date}), sumIf(a.mentions, day < {first:Date}) AS before FROM aspects_daily AS a"
        " WHERE day BETWEEN {before:Date} AND {last:Date} GROUP BY product, aspect HAVING said > 0 OR before > 0"
    )
    return Statement(sql, _in(window) | {"before": window.before.first.isoformat()})


def aspect_daily(window: Window, aspect: str, product: str | None = None) -> Statement:
    """A row per day: (day, mentions, negative, neutral, positive) of one aspect."""
    where = _where(_DAYS, "aspect = {aspect:String}", _PRODUCT if product else "")
    sql = (
        "SELECT day, sum(a.mentions) AS said, sum(a.negative), sum(a.neutral), sum(a.positive)"  # noqa: S608
        f" FROM aspects_daily AS a{where} GROUP BY day HAVING said > 0 ORDER BY day"
    )
    return Statement(sql, _in(window) | {"aspect": aspect, "product": product})


def issues(product: str | None, limit: int) -> Statement:
    """(product, aspect, mentions, negative, negative share, example, its event, last seen), most complained of first."""
    sql = (
        "SELECT product, aspect, mentions, negative, negative_share, example, example_event_id, last_seen"  # noqa: S608
        f" FROM v_top_issues{_where(_PRODUCT if product else '')}"
        " ORDER BY negative DESC, negative_share DESC, product, aspect LIMIT {limit:UInt32}"
    )
    return Statement(sql, {"product": product, "limit": limit})


def choices() -> Statement:
    """One row: the products, sources and languages that there are texts of."""
    sql = "SELECT groupUniqArray(product), groupUniqArray(source), groupUniqArray(language) FROM sentiment_hourly"
    return Statement(sql, {})


TEXT_COLUMNS = (
    "toUnixTimestamp64Milli(event_time)", "topic", "topic_id", "partition", "offset", "event_id", "source", "kind",
    "product", "title", "text", "rating", "language", "toString(sentiment)", "sentiment_score", "sentiment_confidence",
    "`aspects.aspect`", "arrayMap(s -> toString(s), `aspects.sentiment`)", "`aspects.confidence`", "`aspects.start`",
    "`aspects.end`", "intents", "emotion", "urgency", "flags", "pack", "pack_version", "toString(route)",
    "toUnixTimestamp64Milli(ingested_at)",
)  # fmt: skip
_POSITION = "(toUnixTimestamp64Milli(event_time), topic, topic_id, partition, offset)"
_AFTER = (
    "event_time <= fromUnixTimestamp64Milli({time_ms:Int64}) AND "
    + _POSITION
    + " < ({time_ms:Int64}, {topic:String}, {topic_id:String}, {partition:UInt32}, {offset:UInt64})"
)
_ORDER = "event_time DESC, topic DESC, topic_id DESC, partition DESC, offset DESC"


def texts(asked: TextFilter, limit: int, after: Key | None = None) -> Statement:
    """`limit` rows of TEXT_COLUMNS, newest first, after the row `after`."""
    conditions, parameters = _chosen(asked)
    if after is not None:
        conditions.append(_AFTER)
        parameters |= after.model_dump()
    columns = ", ".join(TEXT_COLUMNS)
    sql = f"SELECT {columns} FROM insights{_where(*conditions)} ORDER BY {_ORDER} LIMIT {{limit:UInt32}}"  # noqa: S608
    return Statement(sql, parameters | {"limit": limit})


# What a file of texts holds: typed, and named as in the API.
FILE_COLUMNS = (
    "event_time", "product", "source", "kind", "language", "toString(sentiment) AS sentiment_",
    "sentiment_confidence AS confidence", "sentiment_score AS score", "rating", "title", "text",
    "CAST(arrayMap((a, s, c, b, e) -> (a, toString(s), c, b, e, substringUTF8(text, b + 1, e - b)),"
    " `aspects.aspect`, `aspects.sentiment`, `aspects.confidence`, `aspects.start`, `aspects.end`)"
    " AS Array(Tuple(aspect String, sentiment String, confidence Float32, start UInt32, end UInt32, evidence String)))"
    " AS aspects_",
    "intents", "emotion", "urgency", "flags", "event_id", "topic", "partition", "offset", "pack", "pack_version",
    "ingested_at",
)  # fmt: skip


def texts_for_file(asked: TextFilter, limit: int) -> Statement:
    """The newest `limit` texts, newest first, as columns of a file: no cell is put together of several values."""
    conditions, parameters = _chosen(asked)
    columns = ", ".join(FILE_COLUMNS)
    sql = (
        "SELECT * EXCEPT (sentiment_, aspects_), sentiment_ AS sentiment, aspects_ AS aspects FROM"  # noqa: S608
        f" (SELECT {columns} FROM insights{_where(*conditions)} ORDER BY {_ORDER} LIMIT {{limit:UInt32}})"
    )
    return Statement(sql, parameters | {"limit": limit})


def count_texts(asked: TextFilter) -> Statement:
    """One row: how many texts there are, and when the latest of them came in (milliseconds since 1970)."""
    conditions, parameters = _chosen(asked)
    sql = f"SELECT count(), toUnixTimestamp64Milli(max(ingested_at)) FROM insights{_where(*conditions)}"  # noqa: S608
    return Statement(sql, parameters)


def _chosen(asked: TextFilter) -> tuple[list[str], dict[str, Any]]:
    given = asked.model_dump(include=set(TextFilter.model_fields), exclude_none=True)
    conditions = [condition for name, condition in _TEXT_CONDITIONS.items() if name in given]
    if "polarity" in given:
        conditions.remove(_TEXT_CONDITIONS["aspect"])  # the condition of `polarity` holds it too
    return conditions, {name: v.isoformat() if isinstance(v, date) else v for name, v in given.items()}


_TEXT_CONDITIONS = {
    "product": _PRODUCT,
    "source": "source = {source:String}",
    "language": "language = {language:String}",
    "sentiment": "sentiment = {sentiment:String}",
    "aspect": "has(`aspects.aspect`, {aspect:String})",
    "polarity": (
        "arrayExists((a, s) -> a = {aspect:String} AND toString(s) = {polarity:String},"
        " `aspects.aspect`, `aspects.sentiment`)"
    ),
    "intent": "has(intents, {intent:String})",
    "min_confidence": "sentiment_confidence >= {min_confidence:Float64}",
    "first": "toDate(event_time) >= {first:Date}",
    "last": "toDate(event_time) <= {last:Date}",
    "q": ("(positionCaseInsensitiveUTF8(text, {q:String}) > 0 OR positionCaseInsensitiveUTF8(title, {q:String}) > 0)"),
}
