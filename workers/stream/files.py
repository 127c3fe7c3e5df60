"""A user's own file as messages: CSV or JSON lines, gzipped or not, columns mapped to the event's fields.

Nothing is dropped: a row that makes no valid event is produced as it stands and ends in the dead letters with its reason.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from schemas.events import KNOWN_FIELDS
from workers.errors import UsageError
from workers.stream.produce import Outgoing
from workers.stream.row_formats import Row, explained, rows_of
from workers.stream.row_times import Parse, parser_for

SAMPLED_ROWS = 1_000  # looked at before the first is sent, to know the columns and the format of their times
TOPIC_OF_KIND = {"review": "voxpop.reviews", "post": "voxpop.social"}
_TEXT_COLUMNS = ("text", "review", "review_text", "content", "body", "comment", "message")


@dataclass(frozen=True)
class RowMapping:
    """Which column gives which field.

    `columns`: column -> field or `metadata.KEY`, beside the columns that already bear a field's name. `constants`: field ->
    value for every row that lacks it. `time_format`: strptime's, when the file's own cannot be told. `topic`: where all rows
    go; by default reviews and posts go to their own topics.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    time_format: str | None = None
    topic: str | None = None

    @classmethod
    def parse(
        cls, columns: Sequence[str], constants: Sequence[str], time_format: str | None = None, topic: str | None = None
    ) -> "RowMapping":
        """From a command line's `col=field` and `field=value`. Raises `UsageError`."""
        return cls(_pairs(columns, "--map", check=0), _pairs(constants, "--set", check=1), time_format, topic)


def _pairs(arguments: Sequence[str], option: str, *, check: int) -> dict[str, str]:
    """`a=b` arguments as a dictionary. `check` tells which option names the field on the right (0) or the left (1)."""
    pairs = {}
    for argument in arguments:
        left, equals, right = argument.partition("=")
        name = left if check else right
        if not equals or not left or not right:
            raise UsageError(f"{option} {argument!r} is not of the form {'field=value' if check else 'column=field'}")
        if name not in KNOWN_FIELDS and not name.startswith("metadata."):
            raise UsageError(
                f"{option} {argument!r}: no field {name!r}; fields: {', '.join(sorted(KNOWN_FIELDS))}, metadata.KEY"
            )
        pairs[left] = right
    return pairs


class EventFile:
    """A file opened for producing. `ignored` are its columns that give no field; `used` tells which column gives which.

    Iterating yields one `Outgoing` a row, in order, with constant memory (but eight bytes a row to tell repeated rows
    apart). `bytes_read` and `size` serve a progress bar.
    """

    def __init__(self, path: Path, mapping: RowMapping) -> None:
        """Raises `UsageError` when the file cannot be read, or no column gives the text or the product."""
        if not path.is_file():
            raise UsageError(f"{path} is not a file")
        self.path, self.mapping, self.size = path, mapping, path.stat().st_size
        self._raw: BinaryIO | None = None
        with explained(path):
            sample = list(itertools.islice(self._rows(), SAMPLED_ROWS))
        self._close()
        if not sample:
            raise UsageError(f"{path} holds no rows")
        names = list(dict.fromkeys(name for row in sample if isinstance(row, dict) for name in row))
        self.used = _columns_used(mapping)
        self.ignored = [name for name in names if name not in self.used]
        _require(self.used, mapping, names, path)
        self._parse_time = self._time_parser(sample)
        self._constants = self._defaults()
        self._seen: Counter[int] = Counter()

    @property
    def bytes_read(self) -> int:
        """How far into the file (compressed, as on disk) the reading has come."""
        return self._raw.tell() if self._raw and not self._raw.closed else self.size

    def __iter__(self) -> Iterator[Outgoing]:
        self._seen.clear()
        with explained(self.path):
            try:
                for row in self._rows():
                    yield self._message(row)
            finally:
                self._close()

    def _close(self) -> None:
        if self._raw:
            self._raw.close()

    def _rows(self) -> Iterator[Row]:
        self._raw = self.path.open("rb")
        yield from rows_of(self.path, self._raw)

    def _time_parser(self, sample: Sequence[Row]) -> Parse | None:
        column = next((column for column, name in self.used.items() if name == "created_at"), None)
        values = [str(row[column]) for row in sample if isinstance(row, dict) and column and row.get(column)]
        return parser_for(values, self.mapping.time_format) if values else None

    def _message(self, row: Row) -> Outgoing:
        if isinstance(row, bytes):
            return Outgoing(self.mapping.topic or TOPIC_OF_KIND["review"], None, row)
        event = self._event(row)
        kind = str(event.get("kind"))
        topic = self.mapping.topic or TOPIC_OF_KIND.get(kind, TOPIC_OF_KIND["review"])
        product = event.get("product")
        return Outgoing(topic, product.encode() if isinstance(product, str) else None, orjson.dumps(event))

    def _event(self, row: dict[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {}
        metadata: dict[str, str] = {}
        for column, value in row.items():
            name = self.used.get(column)
            if name is None or value is None or value == "":
                continue
            if name.startswith("metadata."):
                metadata[name.removeprefix("metadata.")] = str(value)
            else:
                event[name] = value
        if self._parse_time and "created_at" in event:
            event["created_at"] = _time_text(event["created_at"], self._parse_time)
        for name, value in self._constants.items():
            if name.startswith("metadata."):
                metadata.setdefault(name.removeprefix("metadata."), value)
            else:
                event.setdefault(name, value)
        if metadata:
            own = event.get("metadata")
            event["metadata"] = {**metadata, **own} if isinstance(own, dict) else metadata
        _as_numbers(event)
        if "id" not in event:
            event["id"] = self._content_id(event)
        event.setdefault("created_at", datetime.now(UTC).isoformat())
        return event

    def _defaults(self) -> dict[str, str]:
        kind = "post" if self.mapping.topic == TOPIC_OF_KIND["post"] else "review"
        stem = self.path.name.removesuffix(".gz").rsplit(".", 1)[0]
        defaults = {"kind": kind, "source": stem[:64], **self.mapping.constants}
        if "created_at" in defaults:
            parse = parser_for([defaults["created_at"]], self.mapping.time_format)
            defaults["created_at"] = parse(defaults["created_at"]).isoformat()
        return defaults

    def _content_id(self, event: dict[str, Any]) -> str:
        """The same row of the same file gets the same id each time it is sent; a row that repeats another gets its own."""
        content = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(content).digest()
        nth = self._seen[int.from_bytes(digest[:8], "big")]
        self._seen[int.from_bytes(digest[:8], "big")] += 1
        return digest.hex()[:32] + (f"-{nth}" if nth else "")


def _columns_used(mapping: RowMapping) -> dict[str, str]:
    """Column -> field, for every column that may come: of JSON lines, one may appear for the first time far down."""
    mapped = set(mapping.columns.values())
    return {name: name for name in KNOWN_FIELDS if name not in mapped} | dict(
        mapping.columns
    )  # a --map outranks a name


def _require(used: Mapping[str, str], mapping: RowMapping, names: Sequence[str], path: Path) -> None:
    absent = [column for column in mapping.columns if column not in names]
    if absent:
        raise UsageError(f"{path} has no column {absent[0]!r}; it has: {', '.join(names) or 'none'}")
    given = {*(used[name] for name in names if name in used), *mapping.constants}
    if "text" not in given:
        likely = next((name for name in names if name.lower() in _TEXT_COLUMNS), "COLUMN")
        raise UsageError(
            f"no column of {path} gives the text; say which: --map {likely}=text (it has: {', '.join(names)})"
        )
    if "product" not in given:
        raise UsageError(f"no column of {path} gives the product; add --map COLUMN=product or --set product=NAME")


def _as_numbers(event: dict[str, Any]) -> None:
    """CSV knows only strings: a rating that is a number becomes one. Ids and titles that are numbers become strings."""
    if isinstance(event.get("rating"), str):
        try:
            event["rating"] = float(event["rating"])
        except ValueError:
            return  # produced as it stands; the dead letter says that it is no number
    for name in ("id", "product", "source", "title", "author"):
        if isinstance(event.get(name), int) and not isinstance(event[name], bool):
            event[name] = str(event[name])


def _time_text(value: object, parse: Parse) -> object:
    try:
        return parse(str(value)).isoformat()
    except (ValueError, OverflowError, OSError):
        return value  # likewise: a dead letter with the reason bad_time
