"""Receipts of what was erased: keyed hashes by which it is known again, and by which nobody finds out what it was.

A receipt is 32 hex digits of BLAKE2b (RFC 7693) under the installation's salt, of an event's source and id or of an author's
pseudonym. Whoever has the salt can ask about an id that they know; without it a receipt says nothing.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

from workers.store.query import EventKey, Reader, batched

_KEY_BYTES = 64  # BLAKE2b takes no longer key


class Receipts:
    """Those of one ClickHouse, under one salt. Methods that ask it raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, salt: bytes) -> None:
        self._reader = reader
        self._key = salt if len(salt) <= _KEY_BYTES else hashlib.sha512(salt).digest()

    def of_event(self, key: EventKey) -> str:
        """Of an event, by source and id."""
        return self._receipt("event", *key)

    def of_author(self, author: str) -> str:
        """Of an author, by pseudonym."""
        return self._receipt("author", author)

    def any(self) -> bool:
        """Whether there is one at all."""
        return self._reader.count("erasures") > 0

    def known(self, receipts: Collection[str]) -> set[str]:
        """Those that are there: what they stand for was erased, or is about to be."""
        sql = "SELECT DISTINCT receipt FROM erasures WHERE receipt IN {receipts:Array(String)}"
        found = (self._reader.rows(sql, {"receipts": some}) for some in batched(sorted(receipts), 300))
        return {str(receipt) for rows in found for (receipt,) in rows}

    def noted_at(self, receipts: Sequence[str]) -> datetime | None:
        """Since when, by ClickHouse's clock, all of these are there; None when one is not."""
        sql = (
            "SELECT count(), max(noted) FROM (SELECT receipt, min(erased_at) AS noted FROM erasures"
            " WHERE receipt IN {receipts:Array(String)} GROUP BY receipt)"
        )
        rows = [self._reader.rows(sql, {"receipts": some})[0] for some in batched(sorted(set(receipts)), 300)]
        if sum(count for count, _ in rows) < len(set(receipts)):
            return None
        moment: datetime = max(noted for _, noted in rows)
        return moment

    def _receipt(self, *told: str) -> str:
        message = repr(told).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(message, digest_size=16, key=self._key, person=b"voxpop erased").hexdigest()
