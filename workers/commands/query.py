"""`voxpop query`: rows as a table for people, as JSON lines for machines."""

import datetime
import uuid
from typing import Any

import orjson
from clickhouse_connect.driver.query import QueryResult
from rich.console import Console
from rich.table import Table


def show_query(result: QueryResult, out: Console, *, as_json: bool) -> None:
    """Prints every row of the result."""
    names = list(result.column_names)
    if as_json:
        for row in result.result_rows:
            out.file.write(json_line(dict(zip(names, row, strict=True))))
        return
    table = Table(*names, caption=f"{len(result.result_rows)} rows", caption_justify="left")
    for row in result.result_rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table, markup=False)


def json_line(row: dict[str, Any]) -> str:
    """One JSON object and a line feed; bytes that are no UTF-8 keep their place with replacement characters."""
    return orjson.dumps(row, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode() + "\n"


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (datetime.date, uuid.UUID)):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)
