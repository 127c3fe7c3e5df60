"""What the drift report is made of: texts counted in two windows, by group and by the version that judged them.

Of the rows themselves, for the aggregates do not know an intent, or by product how sure the model was. No text is read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from workers.store.query import Reader

GROUPS: Final = ("product", "source", "language")


def _within(span: str) -> str:
    since, until = (f"fromUnixTimestamp64Milli({{{span}_{end}:Int64}})" for end in ("since", "until"))
    return f"event_time >= {since} AND event_time < {until}"


_NOW, _BEFORE = _within("now"), _within("before")
_NONE = "['none']"


def _counted(kinds: str) -> str:
    """A mapping from each kind in an array of strings to how many texts have it."""
    return f"sumMap(CAST(arrayMap(k -> (k, 1), {kinds}), 'Map(String, UInt64)'))"


def _all(kinds: str) -> str:
    """The distinct strings of an array, or that there are none."""
    return f"if(empty({kinds}), {_NONE}, arrayDistinct(arrayMap(k -> toString(k), {kinds})))"


_JUDGED = (
    "count(), sum(toFloat64(sentiment_confidence)), countIf(has(flags, 'unsure')), countIf(emotion = ''),"
    f" countIf(has(flags, 'language_not_served')), {_counted('[toString(sentiment)]')}, {_counted(_all('intents'))},"
    f" {_counted(_all('`aspects.aspect`'))}, {_counted('[toString(language)]')},"
    " sumMap(map(toUInt8(least(floor(sentiment_confidence * 10), 9)), toUInt64(1)))"
)


class DriftStore:
    """Reads two windows, each (since, until), within filters of column to value, by a column of GROUPS or as a whole.

    Every method raises `StoreUnavailable` or `StoreRefused`.
    """

    def __init__(
        self,
        reader: Reader,
        window: tuple[datetime, datetime],
        reference: tuple[datetime, datetime],
        filters: Mapping[str, str],
        by: str = "",
    ) -> None:
        self._reader = reader
        self._group = f"toString({by})" if by else "''"
        self._chosen = "".join(f" AND {column} = {{{column}:String}}" for column in filters)
        spans = {"now": window, "before": reference}
        self._parameters: dict[str, Any] = {
            f"{name}_{end}": round(moment.timestamp() * 1000)
            for name, span in spans.items()
            for end, moment in zip(("since", "until"), span, strict=True)
        } | dict(filters)

    def judged(self) -> list[Sequence[Any]]:
        """A row per group, window and version: (group, in the window, pack, version, texts, sum of confidences, texts judged
        unsure, without an emotion, of a language not served, and of sentiment, intents, aspects, languages and bands of
        confidence a mapping from kind to texts)."""
        return self._rows(f"pack, pack_version, {_JUDGED}", "pack, pack_version")

    def topics(self) -> list[Sequence[Any]]:
        """A row per group, window, version and width of the vectors: (group, in the window, pack, version, texts, their
        vectors' sum as stored)."""
        summed = "pack, pack_version, count(), sumForEach(arrayMap(x -> toInt64(x), topic_vector))"
        return self._rows(summed, "pack, pack_version, length(topic_vector)", " AND notEmpty(topic_vector)")

    def looked_at(self, head: str) -> list[Sequence[Any]]:
        """A row per group and window: (group, in the window, texts whose label of `head` people gave, those in which it was
        another than the model's). Of several corrections of a text the latest counts, of its versions the one read."""
        latest = (
            "SELECT source, event_id, content_hash, argMax(new_label != old_label, corrected_at) AS disagreed FROM feedback"
            " WHERE head = {head:String} GROUP BY source, event_id, content_hash"
        )
        sql = (
            f"SELECT name, now, count(), countIf(disagreed) FROM (SELECT DISTINCT {self._group} AS name, {_NOW} AS now,"  # noqa: S608
            f" source, event_id, content_hash FROM insights WHERE {self._where}"
            " AND (source, event_id, content_hash) IN (SELECT source, event_id, content_hash FROM feedback)) AS i"
            f" INNER JOIN ({latest}) AS f USING (source, event_id, content_hash) GROUP BY name, now ORDER BY name, now"
        )
        return self._reader.rows(sql, self._parameters | {"head": head})

    @property
    def _where(self) -> str:
        return f"(({_NOW}) OR ({_BEFORE})){self._chosen}"

    def _rows(self, columns: str, by: str, further: str = "") -> list[Sequence[Any]]:
        sql = (
            f"SELECT {self._group} AS name, {_NOW} AS now, {columns} FROM insights WHERE {self._where}{further}"  # noqa: S608
            f" GROUP BY name, now, {by} ORDER BY name, now, {by}"
        )
        return self._reader.rows(sql, self._parameters)


def last_day(reader: Reader, filters: Mapping[str, str]) -> datetime | None:
    """The first moment, in UTC, after the latest day with texts within the filters; None when there is no text."""
    chosen = " AND ".join(f"{column} = {{{column}:String}}" for column in filters) or "1"
    days = f"SELECT toDate(hour) AS day FROM sentiment_hourly AS s WHERE {chosen} GROUP BY day HAVING sum(s.texts) > 0"  # noqa: S608
    ((after, texts),) = reader.rows(f"SELECT toDateTime(max(day) + 1, 'UTC'), count() FROM ({days})", dict(filters))  # noqa: S608
    return cast(datetime, after) if texts else None


def known(reader: Reader, column: str) -> list[str]:
    """The products, sources or languages that there are texts of."""
    if column not in GROUPS:
        raise ValueError(column)
    sql = f"SELECT {column} FROM sentiment_hourly AS s GROUP BY {column} HAVING sum(s.texts) > 0 ORDER BY {column}"  # noqa: S608
    return [str(name) for (name,) in reader.rows(sql, {})]
