"""Where a row comes from, as ClickHouse knows it: its message, its pack, a larger model's say, who promoted the pack."""

from typing import Any, Final

from workers.store.audit import PROMOTED, ROLLED_BACK
from workers.store.query import Reader

_ROW: Final = (
    "source", "event_id", "content_hash", "product", "event_time", "ingested_at", "topic", "topic_id", "partition", "offset",
    "sentiment", "sentiment_confidence", "route", "judged", "pack", "pack_version",
)  # fmt: skip


def rows_of(reader: Reader, event_id: str, source: str) -> list[dict[str, Any]]:
    """The rows of an event, without a text; of every source when `source` is empty."""
    sql = (
        f"SELECT {', '.join(_ROW)} FROM insights WHERE event_id = {{event:String}} AND {{source:String}} IN ('', source)"  # noqa: S608
        " ORDER BY source, ingested_at"
    )
    return [dict(zip(_ROW, row, strict=True)) for row in reader.rows(sql, {"event": event_id, "source": source})]


def second_opinions(reader: Reader, row: dict[str, Any]) -> list[dict[str, Any]]:
    """What a larger model answered about this version of the event."""
    names = ("asked_at", "model", "pack_version", "old_label", "answer", "outcome")
    sql = (
        f"SELECT {', '.join(names)} FROM escalations FINAL WHERE answer != '' AND source = {{source:String}}"  # noqa: S608
        " AND event_id = {event_id:String} AND content_hash = {content_hash:String} ORDER BY asked_at"
    )
    return [dict(zip(names, found, strict=True)) for found in reader.rows(sql, row)]


def promotions(reader: Reader, pack: str, version: str) -> list[dict[str, Any]]:
    """Who made this version current, and when, the first first."""
    sql = (
        "SELECT done_at, who, action, details['forced'] = 'true' FROM audit WHERE action IN {actions:Array(String)}"
        " AND details['pack'] = {pack:String} AND details['version'] = {version:String} ORDER BY done_at"
    )
    named = {"actions": [PROMOTED, ROLLED_BACK], "pack": pack, "version": version}
    return [dict(zip(("at", "who", "did", "forced"), found, strict=True)) for found in reader.rows(sql, named)]
