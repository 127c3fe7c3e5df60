"""The first thing that happens to an event: its personal data goes. Everything after sees only a `SafeEvent`."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from schemas.events import Event, Kind
from workers.analyze.redact import Redacted, Redactor, author_pseudonym, redact_identifier, redact_url


@dataclass(frozen=True, slots=True)
class SafeEvent:
    """An event without personal data: what may be stored, produced, logged, or shown to a model.

    `author` is a salted pseudonym; `redactions` counts what was taken out, by kind, over all fields. `content_hash` is
    16 hex digits over everything but the key: a resend has the same ones, an update others.
    """

    event_id: str
    kind: Kind
    source: str
    product: str
    text: str
    title: str
    rating: float | None
    author: str
    language: str
    url: str
    metadata: dict[str, str]
    event_time: datetime
    redactions: dict[str, int]
    content_hash: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """The content's hash is needed again and again."""
        object.__setattr__(self, "content_hash", self._content_hash())

    def _content_hash(self) -> str:
        content = (self.kind, self.product, self.text, self.title, self.rating, self.author, self.language, self.url)
        told = repr((*content, sorted(self.metadata.items()), self.event_time.timestamp()))
        return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def disguise(event: Event, redactor: Redactor, salt: bytes) -> SafeEvent:
    """The event with every field redacted and its author under a pseudonym made with `salt`."""
    counts: Counter[str] = Counter()

    def clean(text: str | None, *, product: str = "") -> str:
        redacted = redactor.redact(text or "", product=product)
        counts.update(redaction.kind for redaction in redacted.redactions)
        return redacted.text

    named = _name(redactor, event.product)
    counts.update(named.counts)
    product = named.text
    return SafeEvent(
        event_id=redact_identifier(event.id),
        kind=event.kind,
        source=_source(event.source),
        product=product,
        text=clean(event.text, product=product),
        title=clean(event.title, product=product),
        rating=event.rating,
        author=author_pseudonym(event.author or "", salt),
        language=(event.language or "").lower(),
        url=redact_url(event.url or "", product=product),
        metadata={clean(key): clean(value, product=product) for key, value in event.metadata.items()},
        event_time=event.created_at,
        redactions=dict(counts),
    )


# Thousands of events name the same products and sources: what those come to is remembered.
_source = lru_cache(maxsize=1024)(redact_identifier)


@lru_cache(maxsize=4096)
def _name(redactor: Redactor, product: str) -> Redacted:
    return redactor.redact(product)
