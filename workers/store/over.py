"""Which texts' time is over: of each source those taken in before a moment, which is noted before they are removed."""

from collections.abc import Collection
from datetime import datetime

from workers.store.query import EventKey, Reader, batched


def removed_until(reader: Reader) -> dict[str, datetime]:
    """Source -> the moment of ingestion, in UTC, before which its texts are gone or about to go. Raises `StoreUnavailable`
    or `StoreRefused`, as the others do."""
    sql = "SELECT source, max(r.removed_until) FROM retention AS r GROUP BY source"
    return {str(source): moment for source, moment in reader.rows(sql, {})}


def events_over(reader: Reader, keys: Collection[EventKey]) -> set[EventKey]:
    """Those of these stored events of which the newest version was taken in before that moment."""
    over = removed_until(reader) if keys else {}
    sql = (
        "SELECT source, event_id, max(ingested_at) FROM event_keys"
        " WHERE (source, event_id) IN {keys:Array(Tuple(String, String))} GROUP BY source, event_id"
    )
    return {
        EventKey(source, event_id)
        for some in batched(sorted(key for key in keys if key.source in over), 500)
        for source, event_id, newest in reader.rows(sql, {"keys": [tuple(key) for key in some]})
        if newest < over[source]
    }
