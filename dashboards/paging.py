"""Keyset paging: a page begins after the last row of the page before, however many rows have come in between."""

import base64
import binascii
from dataclasses import dataclass

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadCursor(ValueError):
    """This is no cursor of ours."""


class Key(BaseModel):
    """Where a row lies in the order of texts: newest first, then by position, which no two rows share."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    time_ms: int = Field(ge=0, le=5_662_310_400_000, description="Milliseconds since 1970.")
    topic: str = Field(max_length=249)
    topic_id: str = Field(max_length=64)
    partition: int = Field(ge=0, lt=2**32)
    offset: int = Field(ge=0, lt=2**63)


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows after the row `after`, or the first ones."""

    limit: int
    after: Key | None = None


def encode(key: Key) -> str:
    """The key as one URL-safe word."""
    return base64.urlsafe_b64encode(orjson.dumps(list(key.model_dump().values()))).decode().rstrip("=")


def decode(cursor: str) -> Key:
    """What `encode` was given. Raises `BadCursor`."""
    try:
        parts = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        return Key.model_validate(dict(zip(Key.model_fields, parts, strict=True)))
    except (binascii.Error, ValueError, TypeError, ValidationError) as error:
        raise BadCursor("the cursor is not one that this API gave; leave it out to start at the newest text") from error
