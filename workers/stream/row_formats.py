"""The rows of a file as they lie there: CSV, TSV or JSON lines, gzipped or not, with constant memory."""

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from workers.errors import UsageError

Row = dict[str, Any] | bytes
"""A decoded row, or the bytes of a line that is no row at all."""


def rows_of(path: Path, raw: BinaryIO) -> Iterator[Row]:
    """The rows of `raw`, which is `path` opened. Call inside `explained`. Raises `UsageError` for UTF-16."""
    plain: Any = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
    if plain.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UsageError(
            f"{path} is in UTF-16; Voxpop reads UTF-8: iconv -f UTF-16 -t UTF-8 {path.name} > new-{path.name}"
        )
    name = path.name.removesuffix(".gz").lower()
    if name.endswith((".csv", ".tsv")):
        yield from _csv_rows(plain, "\t" if name.endswith(".tsv") else ",")
    else:
        yield from _json_rows(plain)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what a damaged file raises into one line."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, csv.Error, PermissionError) as error:
        raise UsageError(f"{path} cannot be read ({' '.join(str(error).split())}); is it complete?") from error


def _csv_rows(plain: Any, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="")
    for record in csv.DictReader(text, delimiter=delimiter):
        row = {name: value for name, value in record.items() if isinstance(name, str) and isinstance(value, str)}
        surplus = record.get(None) or []  # cells beyond the head's, under no name
        if any(surplus) or not _is_text(row):
            yield delimiter.join([*row.values(), *surplus]).encode("utf-8", "surrogateescape")
        else:
            yield row


def _is_text(row: dict[str, str]) -> bool:
    """Whether every cell was UTF-8. (What was not came in as lone surrogates.)"""
    try:
        "".join(row.values()).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_rows(plain: Any) -> Iterator[Row]:
    for number, read in enumerate(plain):
        line = read.removeprefix(codecs.BOM_UTF8) if number == 0 else read
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield line.rstrip(b"\r\n")
            continue
        yield row if isinstance(row, dict) else line.rstrip(b"\r\n")
