"""Which messages of a block are of events or authors that were erased: they are turned away, on the record as a count."""

from collections.abc import Iterator

import orjson

from workers.analyze.redact import author_pseudonym, redact_identifier
from workers.block_result import BlockResult, key_of
from workers.store.query import EventKey
from workers.store.receipts import Receipts


class TurnedAway:
    """Asks for receipts. Raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, receipts: Receipts, salt: bytes) -> None:
        self._receipts, self._salt = receipts, salt

    def of_block(self, result: BlockResult) -> set[int]:
        """The offsets of such messages among those of a sorted block that would be stored."""
        told = list(self._told(result))
        known = self._receipts.known({receipt for _, receipts in told for receipt in receipts})
        return {offset for offset, receipts in told if known & receipts}

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
