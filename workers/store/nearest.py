"""The stored texts nearest to a question: by what they are about, and by its words. Exact search; reads alone.

Vectors of texts in one language lie nearer to each other than to another language's, whatever they are about. So a text is
compared with the mean of its own language: a question finds texts of others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from typing import Any, Final, NamedTuple

from workers.store.query import Reader

# What a cosine, and the share of the question's words, is worth: fitted on the pairs of tests/questions.yaml.
BY_TOPIC, BY_WORDS = 3.5, 4.5
_SEEN: Final = "concat(title, '\\n', text)"
_SIMILARITY: Final = "dotProduct(topic_vector, {asked:Array(Float32)}) / 127"
_FOUND: Final = (
    f"arrayMap(place -> place > 0, multiSearchAllPositionsCaseInsensitiveUTF8({_SEEN}, {{stems:Array(String)}}))"
)
_BY_LANGUAGE: Final = f"SELECT language, count(), avg({_SIMILARITY}), sumForEach({_FOUND}) FROM insights"  # noqa: S608
_TEXTS: Final = "SELECT source, event_id, product, event_time, language, toString(sentiment), title, text FROM insights"
_NEAREST_FIRST: Final = (
    f"ORDER BY {BY_TOPIC} * ({_SIMILARITY} -"
    " transform(toString(language), {languages:Array(String)}, {means:Array(Float64)}, 0.))"
    f" + {BY_WORDS} * arraySum(arrayMap((is, share) -> is * share, {_FOUND}, {{shares:Array(Float64)}})) DESC,"
    " event_time DESC, source, event_id LIMIT 1 BY text LIMIT {most:UInt32}"
)
_CONDITIONS: Final = {
    "products": "product IN {products:Array(String)}",
    "source": "source = {source:String}",
    "language": "language = {language:String}",
    "sentiment": "sentiment = {sentiment:String}",
    "since_ms": "event_time >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')",
    "until_ms": "event_time < fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')",
}


@dataclass(frozen=True, slots=True)
class Among:
    """Which texts are looked through: everything that is set must hold. Events of [`since`, `until`)."""

    products: tuple[str, ...] = ()
    source: str | None = None
    language: str | None = None
    sentiment: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """What is bound, of what is set."""
        given = {
            "products": list(self.products),
            "source": self.source,
            "language": self.language,
            "sentiment": self.sentiment,
            "since_ms": None if self.since is None else round(self.since.timestamp() * 1000),
            "until_ms": None if self.until is None else round(self.until.timestamp() * 1000),
        }
        return {name: value for name, value in given.items() if value not in (None, [])}

    def conditions(self) -> list[str]:
        """The same as SQL, with placeholders."""
        return [_CONDITIONS[name] for name in self.parameters()]


class Sought(NamedTuple):
    """What texts are compared with: a unit vector (d,) and the stems of words."""

    vector: Sequence[float]
    stems: Sequence[str]


class Near(NamedTuple):
    """A stored text, redacted as all are."""

    source: str
    event_id: str
    product: str
    event_time: datetime
    language: str
    sentiment: str
    title: str
    text: str


class Nearest(NamedTuple):
    """The nearest `texts`, the best first, out of so many `compared`. `weights`: each stem of the question -> how rare it
    is among them, its inverse document frequency (Robertson and Zaragoza, 2009)."""

    texts: Sequence[Near]
    compared: int
    weights: Mapping[str, float]


class NearestTexts:
    """Reads through one client. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, settings: Mapping[str, Any] | None = None) -> None:
        """`settings` bound what a query may take: time, rows, memory."""
        self._reader, self._settings = reader, settings

    def products(self) -> list[str]:
        """Every product that has texts."""
        sql = "SELECT product FROM sentiment_hourly AS s GROUP BY product HAVING sum(s.texts) > 0 ORDER BY product"
        return [str(product) for (product,) in self._rows(sql, {})]

    def find(self, sought: Sought, among: Among, most: int) -> Nearest:
        """At most so many, each text once. Only rows whose topic vector is of the same length are compared."""
        where = " AND ".join([f"length(topic_vector) = {len(sought.vector)}", *among.conditions()])
        parameters = {"asked": list(sought.vector), "stems": list(sought.stems), **among.parameters()}
        means: dict[str, float] = {}
        counts, compared = [0] * len(sought.stems), 0
        for language, texts, mean, found in self._rows(f"{_BY_LANGUAGE} WHERE {where} GROUP BY language", parameters):
            means[language], compared = mean, compared + texts
            counts = [a + b for a, b in zip(counts, found, strict=True)]
        weights = {s: log(1 + (compared - n + 0.5) / (n + 0.5)) for s, n in zip(sought.stems, counts, strict=True)}
        if not compared:
            return Nearest((), 0, weights)
        parameters |= {"languages": [*means], "means": [*means.values()], "most": most}
        parameters["shares"] = [weight / sum(weights.values()) for weight in weights.values()]
        rows = self._rows(f"{_TEXTS} WHERE {where} {_NEAREST_FIRST}", parameters)
        return Nearest([Near(*row) for row in rows], compared, weights)

    def count(self, among: Among) -> int:
        """How many texts there are, with or without a topic vector."""
        where = " AND ".join(["1", *among.conditions()])
        return int(self._rows(f"SELECT count() FROM insights WHERE {where}", among.parameters())[0][0])  # noqa: S608

    def _rows(self, sql: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        return self._reader.select(sql, parameters=parameters, settings=self._settings).result_rows
