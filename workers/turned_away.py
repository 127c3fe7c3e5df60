"""Which messages of a block are turned away, on the record as a count: those of events or authors that were erased, and
changed versions of events whose time is over (`workers/retention.py`)."""

from collections.abc import Iterator

import orjson

from workers.analyze.redact import author_pseudonym, redact_identifier
from workers.block_result import BlockResult, key_of
from workers.store.over import events_over
from workers.store.query import EventKey, Reader
from workers.store.receipts import Receipts


class TurnedAway:
    """Asks for receipts, and for what is over. Raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, receipts: Receipts, salt: bytes) -> None:
        self._reader, self._receipts, self._salt = reader, receipts, salt

    def of_block(self, result: BlockResult) -> set[int]:
        """The offsets of such messages among those of a sorted block that would be stored."""
        told = list(self._told(result)) if self._receipts.any() else ()
        known = self._receipts.known({receipt for _, receipts in told for receipt in receipts})
        return {offset for offset, receipts in told if known & receipts} | self._over(result)

    def _over(self, result: BlockResult) -> set[int]:
        """Offsets of updates whose old row is gone, or about to go: its figures stay, so a new one would count again."""
        replaced = {EventKey(version.source, version.event_id) for version in result.replaced}
        over = events_over(self._reader, replaced)
        return {message.offset for message, event in (*result.events, *result.superseded) if key_of(event) in over}

    def _told(self, result: BlockResult) -> Iterator[tuple[int, set[str]]]:
        for message, event in (*result.events, *result.superseded):
            yield message.offset, self._of(key_of(event), event.author)
        for letter in result.letters:
            key, author = subject_of(letter.value, self._salt)
            yield letter.position.offset, self._of(key, author)

    def _of(self, key: EventKey | None, author: str) -> set[str]:
        receipts = {self._receipts.of_event(key)} if key else set()
        return receipts | {self._receipts.of_author(author)} if author else receipts


def subject_of(value: bytes | None, salt: bytes) -> tuple[EventKey | None, str]:
    """The event that an unusable message names and its author's pseudonym, as far as its bytes tell: None and ""."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None, ""
    if not isinstance(document, dict):
        return None, ""
    source, event_id, author = (document.get(name) for name in ("source", "id", "author"))
    named = isinstance(source, str) and isinstance(event_id, str)
    key = EventKey(redact_identifier(str(source)), redact_identifier(str(event_id))) if named else None
    return key, author_pseudonym(author, salt) if isinstance(author, str) else ""
