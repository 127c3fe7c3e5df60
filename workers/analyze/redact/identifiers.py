"""What names an event, an author or a page: kept where it names no person, disguised where it does."""

import hashlib
import hmac
from collections.abc import Collection, Iterator

from workers.analyze.redact.digit_runs import runs_of_digits
from workers.analyze.redact.emails import emails
from workers.analyze.redact.handles import brands_of, handles, name_key
from workers.analyze.redact.phones import phone_with_plus
from workers.analyze.redact.placeholders import until_nothing_left


def redact_identifier(value: str) -> str:
    """An event id or source, as it is unless it holds an e-mail address, a profile link or a phone with its +.

    Such a value becomes "h:" and 32 hex digits of its SHA-256, so that distinct ids stay distinct and equal ones equal.
    """
    if not until_nothing_left(value, lambda folded: _find_in_identifier(folded, frozenset())).redactions:
        return value
    return "h:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def redact_url(url: str, *, product: str = "", public_handles: Collection[str] = ()) -> str:
    """`url` without e-mail addresses, + phones and profile handles; the handles of the product's company stay.

    Its other numbers stay as well: in an address they are ids of pages and posts.
    """
    brands = brands_of(product) | {name_key(handle) for handle in public_handles}
    return until_nothing_left(url, lambda folded: _find_in_identifier(folded, brands)).text


def author_pseudonym(author: str, salt: bytes) -> str:
    """32 hex digits of HMAC-SHA256 of `author` under `salt`; "" for no author. Equal authors get equal pseudonyms."""
    if not author:
        return ""
    return hmac.new(salt, author.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def _find_in_identifier(text: str, brands: frozenset[str]) -> Iterator[tuple[str, int, int]]:
    yield from (("email", *span) for span in emails(text))
    yield from (("handle", *span) for span in handles(text, brands))
    for run in runs_of_digits(text):
        span = phone_with_plus(run)
        if span is not None:
            yield ("phone", *span)
