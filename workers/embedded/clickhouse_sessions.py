"""HTTP sessions: temporary tables and SET that live from one request to the next under a `session_id`.

A session is a connection to the engine that is kept. Settings and database in the URL are for one query also within a
session, so they are put back afterwards; bound parameters stay until the session gives them again.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from workers.embedded.clickhouse_errors import SESSION_IS_LOCKED, SESSION_NOT_FOUND, refusal
from workers.embedded.clickhouse_request import Session

# A client may have read the whole answer to its last query, and ask again, a moment before the session is given back.
ANSWERED_S = 0.5


@dataclass
class _Kept:
    connection: Any
    busy: bool
    expires: float  # on the monotonic clock


class Sessions:
    """The sessions of one engine. Methods may be called from many threads at once."""

    def __init__(self, open_connection: Callable[[], Any]) -> None:
        self._open_connection = open_connection
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Condition()

    @contextmanager
    def lease(self, session: Session) -> Iterator[Any]:
        """The session's connection for one query. A session is made when it is not there or has idled too long.

        Raises `ClickHouseError` when another query is using it, and when it must exist and does not.
        """
        kept = self._take(session)
        try:
            yield kept.connection
        finally:
            with self._lock:
                kept.busy = False
                kept.expires = time.monotonic() + session.timeout_s
                if session.close_after:
                    self._kept.pop(session.id)
                    kept.connection.close()
                self._lock.notify_all()

    def close(self) -> None:
        """Close the sessions that no query is using."""
        with self._lock:
            for name in [name for name, kept in self._kept.items() if not kept.busy]:
                self._kept.pop(name).connection.close()

    def _take(self, session: Session) -> _Kept:
        with self._lock:
            self._close_expired()
            self._lock.wait_for(lambda: not self._is_busy(session), ANSWERED_S)
            kept = self._kept.get(session.id)
            if kept is None:
                if session.must_exist:
                    raise refusal(
                        SESSION_NOT_FOUND, f"Session {session.id} not found: it was never made or has expired"
                    )
                kept = self._kept[session.id] = _Kept(self._open_connection(), busy=False, expires=0.0)
            if kept.busy:
                raise refusal(SESSION_IS_LOCKED, f"Session {session.id} is locked by a concurrent client")
            kept.busy = True
            return kept

    def _is_busy(self, session: Session) -> bool:
        kept = self._kept.get(session.id)
        return kept is not None and kept.busy

    def _close_expired(self) -> None:
        now = time.monotonic()
        for name in [name for name, kept in self._kept.items() if not kept.busy and kept.expires < now]:
            self._kept.pop(name).connection.close()


def statements_to_restore(connection: Any, settings: list[bytes], keep_database: bool) -> list[bytes]:
    """SQL that puts `settings` (quoted names) back to what they are now, and the current database with `keep_database`."""
    restore: list[bytes] = []
    if settings:
        asked = b"SELECT name, value, changed FROM system.settings WHERE name IN (%b)" % b", ".join(settings)
        for line in bytes(connection.query(asked, "JSONCompactEachRow").bytes()).splitlines():
            name, value, changed = json.loads(line)
            literal = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if changed else "DEFAULT"
            restore.append(f"SET {name} = {literal}".encode())
    if keep_database:
        name = bytes(connection.query("SELECT currentDatabase()", "TabSeparatedRaw").bytes()).rstrip(b"\n")
        restore.append(b"USE `%b`" % name.replace(b"\\", b"\\\\").replace(b"`", b"\\`"))
    return restore
