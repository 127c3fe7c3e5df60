"""Which stored rows are to be judged again, read by the table's own key, a page at a time."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from workers.store.query import Reader

Row = dict[str, Any]
_KEY = ("product", "event_time", "source", "event_id", "topic", "topic_id", "partition", "offset")


class PackVersion(NamedTuple):
    """Who judged a row."""

    pack: str
    version: str


class RoutedTo(NamedTuple):
    """Who judges the texts of a product, of a source, or of both; None fits all."""

    product: str | None
    source: str | None
    served: PackVersion


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of events of [`since`, `until`) not judged by the first of `routes` that fits, or else by `served`. None takes
    every one. Of packs `with_topics` a row without a topic vector, from before there were any, counts as not judged."""

    served: PackVersion
    since: datetime
    until: datetime | None = None
    product: str | None = None
    source: str | None = None
    version_not: str | None = None
    routes: Sequence[RoutedTo] = ()
    with_topics: Collection[PackVersion] = ()

    def condition(self) -> tuple[str, dict[str, Any]]:
        """As SQL and its parameters."""
        judged_so, parameters = self._judged_as_served()
        lacking = (
            "empty(topic_vector) AND (toString(pack), toString(pack_version))"
            " IN {with_topics:Array(Tuple(String, String))}"
        )
        terms = [f"(NOT ({judged_so}) OR ({lacking}))", f"event_time >= {_moment('since')}"]
        parameters |= {"since": _ms(self.since), "with_topics": sorted(tuple(pack) for pack in self.with_topics)}
        if self.until is not None:
            terms.append(f"event_time < {_moment('until')}")
            parameters["until"] = _ms(self.until)
        for term, name in (("product =", "product"), ("source =", "source"), ("pack_version !=", "version_not")):
            if (wanted := getattr(self, name)) is not None:
                terms.append(f"{term} {{{name}:String}}")
                parameters[name] = wanted
        return " AND ".join(terms), parameters

    def _judged_as_served(self) -> tuple[str, dict[str, Any]]:
        by, parameters = "({pack:String}, {version:String})", {**self.served._asdict()}
        for number, route in reversed(list(enumerate(self.routes))):
            fits = []
            for column, wanted in (("product", route.product), ("source", route.source)):
                if wanted is not None:
                    fits.append(f"{column} = {{{column}_{number}:String}}")
                    parameters[f"{column}_{number}"] = wanted
            by = f"if({' AND '.join(fits)}, ({{pack_{number}:String}}, {{version_{number}:String}}), {by})"
            parameters |= {f"pack_{number}": route.served.pack, f"version_{number}": route.served.version}
        return f"(toString(pack), toString(pack_version)) = {by}", parameters


class SelectedRows:
    """Reads them. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, selection: Selection) -> None:
        self._reader = reader
        self._condition, self._parameters = selection.condition()

    def by_pack(self) -> dict[PackVersion, int]:
        """How many rows, by who judged them, most first."""
        sql = (
            f"SELECT pack, pack_version, count() FROM insights WHERE {self._condition}"  # noqa: S608
            " GROUP BY pack, pack_version ORDER BY count() DESC, pack, pack_version"
        )
        return {PackVersion(pack, version): int(n) for pack, version, n in self._reader.rows(sql, self._parameters)}

    def pages(self, columns: Sequence[str], size: int) -> Iterator[list[Row]]:
        """The rows' `columns` in lists of at most `size`, each of one month: a month is a part of its own in every table.

        Only one list is held. A row that is changed meanwhile may or may not come.
        """
        months = f"SELECT DISTINCT toYYYYMM(event_time) AS month FROM insights WHERE {self._condition} ORDER BY month"  # noqa: S608
        for (month,) in self._reader.rows(months, self._parameters):
            after: Row | None = None
            while rows := self._read(columns, int(month), after, size):
                yield rows
                after = rows[-1]

    def _read(self, columns: Sequence[str], month: int, after: Row | None, size: int) -> list[Row]:
        names = list(dict.fromkeys((*_KEY, *columns)))
        further, parameters = _further(after)
        sql = (
            f"SELECT {', '.join(f'`{name}`' for name in names)} FROM insights"  # noqa: S608
            f" WHERE toYYYYMM(event_time) = {{month:UInt32}} AND {self._condition}{further}"
            f" ORDER BY {', '.join(_KEY)} LIMIT {{size:UInt32}}"
        )
        rows = self._reader.rows(sql, self._parameters | parameters | {"month": month, "size": size})
        return [dict(zip(names, row, strict=True)) for row in rows]


def _further(after: Row | None) -> tuple[str, dict[str, Any]]:
    """What comes after a row in the order of the key, said so that ClickHouse's index understands it."""
    if after is None:
        return "", {}
    at = _moment("after_ms")
    rest = "(source, event_id, topic, topic_id, partition, offset) > ({after_source:String}, {after_event_id:String},"
    rest += " {after_topic:String}, {after_topic_id:String}, {after_partition:UInt32}, {after_offset:UInt64})"
    same = f"event_time > {at} OR (event_time = {at} AND {rest})"
    sql = f" AND (product > {{after_product:String}} OR (product = {{after_product:String}} AND ({same})))"
    parameters = {f"after_{name}": after[name] for name in _KEY if name != "event_time"}
    return sql, parameters | {"after_ms": _ms(after["event_time"])}


def _moment(name: str) -> str:
    return f"fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
