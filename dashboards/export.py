"""Texts as CSV (RFC 4180, UTF-8 with a byte order mark, so that spreadsheets read it as it is), and files being sent."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO

from dashboards.models import Text

COLUMNS = (
    "event_time", "product", "source", "kind", "language", "sentiment", "confidence", "score", "rating", "title", "text",
    "aspects", "intents", "emotion", "urgency", "flags", "event_id", "topic", "partition", "offset", "pack", "pack_version",
)  # fmt: skip
PARQUET = "application/vnd.apache.parquet"
PIECE_BYTES = 1 << 18
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(texts: Iterable[Text]) -> bytes:
    """A header and a line per text. What a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for text in texts:
        writer.writerow([_cell(text, name) for name in COLUMNS])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _cell(text: Text, name: str) -> str | float | None:
    if name == "aspects":
        return "; ".join(f"{m.aspect} {m.sentiment} {text.text[m.start : m.end]!r}" for m in text.aspects)
    value: str | float | list[str] | datetime | None = getattr(text, name)
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The file's bytes; it is closed after the last one, or when nobody wants more."""
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
