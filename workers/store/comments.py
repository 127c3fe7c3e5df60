"""Writes what tables and columns mean into ClickHouse itself, from `schemas/clickhouse/comments.yaml`."""

from dataclasses import dataclass
from importlib import resources

import yaml
from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class Comments:
    """`table` and `column` answer "" for what the file does not describe."""

    shared: dict[str, str]
    tables: dict[str, str]
    own: dict[str, dict[str, str]]

    def column(self, table: str, column: str) -> str:
        """What a table's column holds."""
        return self.own.get(table, {}).get(column) or self.shared.get(column, "")


def shipped_comments() -> Comments:
    """The file of this version."""
    text = resources.files("schemas").joinpath("clickhouse", "comments.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    tables = document["tables"]
    return Comments(
        document["columns"],
        {name: table["comment"] for name, table in tables.items()},
        {name: table.get("columns", {}) for name, table in tables.items()},
    )


def write_comments(client: Client, comments: Comments, cluster: str | None = None) -> int:
    """Describes every table and view of the database but the materialized views, which nobody reads; one ALTER a table that
    is not yet described so. How many were altered. Raises `ClickHouseError`."""
    told = client.query(
        "SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView'"
    ).result_rows
    columns = client.query(
        "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ).result_rows
    everywhere = f" ON CLUSTER `{cluster}`" if cluster else ""
    altered = 0
    for table, comment in told:
        wanted = comments.tables.get(table)
        if wanted is None:
            continue
        changes = [f"MODIFY COMMENT {_quoted(wanted)}"] if wanted != comment else []
        for owner, column, present in columns:
            meaning = comments.column(table, column)
            if owner == table and meaning not in ("", present):
                changes.append(f"COMMENT COLUMN `{column}` {_quoted(meaning)}")
        if changes:
            client.command(f"ALTER TABLE `{table}`{everywhere} {', '.join(changes)}")
            altered += 1
    return altered


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
