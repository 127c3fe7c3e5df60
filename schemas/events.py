"""What comes in: one review or post as a producer writes it to `voxpop.reviews` or `voxpop.social`.

A message that cannot be used is an answer, not an accident: `decode_event` raises `InvalidMessage`, which carries a
machine-readable `Reason` and one sentence for a person. Whoever catches it knows the message's position and routes it to
the dead letters.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

MAX_TEXT_CHARS = 20_000
MAX_MESSAGE_BYTES = 1_048_576  # Kafka's own default for max.message.bytes, give or take its batch header
MAX_AHEAD = timedelta(days=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # ClickHouse's partitions and DateTime start here

Kind = Literal["review", "post"]


class Reason(StrEnum):
    """Why a message became a dead letter. Programs switch on these: a value is never renamed."""

    TOMBSTONE = "tombstone"
    EMPTY = "empty"
    OVERSIZE = "oversize"
    BAD_UTF8 = "bad_utf8"
    BAD_JSON = "bad_json"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIME = "bad_time"
    ANALYSIS_FAILED = "analysis_failed"


class InvalidMessage(Exception):
    """This message can never become an insight as it stands. `reason` is for programs, `sentence` for people."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def _parse_time(value: object) -> object:
    """An ISO 8601 string becomes a datetime; what is not a string is left for the type check to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(f"{value[:-1]}Z" if value.endswith("z") else value)  # RFC 3339 5.6 allows both
    except ValueError as error:
        raise InvalidMessage(Reason.BAD_TIME, "created_at is not an ISO 8601 time") from error


def _usable_time(value: datetime) -> datetime:
    """In UTC, or `InvalidMessage` when it has no zone, lies before 1970 or more than a day ahead of this machine's clock."""
    if value.tzinfo is None:
        raise InvalidMessage(Reason.BAD_TIME, "created_at has no time zone; write it as 2026-11-23T10:00:00Z")
    try:
        moment = value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidMessage(Reason.BAD_TIME, "created_at lies outside the calendar") from error
    if moment < EARLIEST:
        raise InvalidMessage(Reason.BAD_TIME, "created_at lies before 1970")
    if moment > datetime.now(UTC) + MAX_AHEAD:
        raise InvalidMessage(Reason.BAD_TIME, "created_at lies more than a day ahead of this machine's clock")
    return moment


def _has_substance(text: str) -> str:
    if not text.strip():
        raise InvalidMessage(Reason.OUT_OF_RANGE, "text holds only white space")
    return text


EventTime = Annotated[datetime, BeforeValidator(_parse_time), AfterValidator(_usable_time)]
ShortKey = Annotated[str, Field(min_length=1, max_length=64)]
ShortValue = Annotated[str, Field(max_length=256)]


class Event(BaseModel):
    """One review or post. Strict: a number is not a string. Unknown fields are ignored (`unknown_fields` counts them)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=128, description="The producer's own id, unique within `source`.")
    kind: Kind
    source: str = Field(min_length=1, max_length=64, description="Where it was written: a shop, a network, a form.")
    product: str = Field(min_length=1, max_length=128, description="What it is about; the key of the Kafka message.")
    text: Annotated[str, AfterValidator(_has_substance)] = Field(
        min_length=1, max_length=MAX_TEXT_CHARS, description="What was written: not white space alone."
    )
    created_at: EventTime = Field(
        description="When it was written: RFC 3339, so with a zone, from 1970 to a day ahead of the worker's clock. Other "
        "forms of ISO 8601 with a zone are taken too; leap seconds are not."
    )
    title: str | None = Field(default=None, max_length=500)
    rating: float | None = Field(default=None, ge=1, le=5, allow_inf_nan=False)
    author: str | None = Field(default=None, max_length=256, description="Stored as a salted pseudonym only.")
    language: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$", max_length=35)
    url: str | None = Field(default=None, max_length=2048)
    metadata: dict[ShortKey, ShortValue] = Field(default_factory=dict, max_length=32)


KNOWN_FIELDS = frozenset(Event.model_fields)
_SIZE_ERRORS = frozenset({"string_too_long"})
_RANGE_ERRORS = frozenset(
    {
        "greater_than_equal",
        "less_than_equal",
        "finite_number",
        "literal_error",
        "string_pattern_mismatch",
        "string_too_long",
        "string_too_short",
        "too_long",
    }
)
_KINDS = ", ".join(get_args(Kind))


def unknown_fields(document: Mapping[str, Any]) -> int:
    """How many fields of the decoded message this contract does not know (they are ignored, and counted)."""
    return sum(key not in KNOWN_FIELDS for key in document)


def decode_json(value: bytes | None, *, max_bytes: int = MAX_MESSAGE_BYTES) -> dict[str, Any]:
    """The message's bytes as a JSON object. Raises `InvalidMessage` for everything else, random bytes included."""
    if value is None:
        raise InvalidMessage(Reason.TOMBSTONE, "the message has no value (a tombstone)")
    if not value.strip():
        raise InvalidMessage(Reason.EMPTY, "the message is empty")
    if len(value) > max_bytes:
        raise InvalidMessage(Reason.OVERSIZE, f"the message has {len(value):,} bytes; the limit is {max_bytes:,}")
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidMessage(Reason.BAD_UTF8, f"byte {error.start} is not UTF-8") from error
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if re.search("recursion|depth", str(error), re.IGNORECASE):
            raise InvalidMessage(Reason.TOO_DEEP, "the JSON is nested too deeply") from error
        raise InvalidMessage(Reason.BAD_JSON, f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidMessage(Reason.NOT_AN_OBJECT, f"the JSON is a {type(document).__name__}, not an object")
    return document


def validate_event(document: Mapping[str, Any]) -> Event:
    """The event in a decoded message. Raises `InvalidMessage` with the first thing that is wrong with it."""
    try:
        return Event.model_validate(document)
    except ValidationError as error:
        raise _as_invalid(error) from error


def decode_event(value: bytes | None, *, max_bytes: int = MAX_MESSAGE_BYTES) -> Event:
    """Bytes to `Event`, or `InvalidMessage`."""
    return validate_event(decode_json(value, max_bytes=max_bytes))


def _as_invalid(error: ValidationError) -> InvalidMessage:
    """The dead letter's reason for a pydantic error. A missing field is named before a wrong one: it is the likelier cause.

    Only our own field names and limits enter the sentence, never what the producer wrote: the sentence is logged.
    """
    problems = sorted(error.errors(include_url=False, include_input=False), key=lambda p: p["type"] != "missing")
    first = problems[0]
    field = str(first["loc"][0])
    kind = first["type"]
    if kind == "missing":
        return InvalidMessage(Reason.MISSING_FIELD, f"the field {field} is missing")
    if kind in _SIZE_ERRORS and field == "text":
        return InvalidMessage(Reason.OVERSIZE, f"text has more than {MAX_TEXT_CHARS:,} characters")
    if kind == "literal_error":
        return InvalidMessage(Reason.OUT_OF_RANGE, f"{field} must be one of: {_KINDS}")
    if kind in _RANGE_ERRORS:
        return InvalidMessage(Reason.OUT_OF_RANGE, f"{field}: {first['msg']}")
    return InvalidMessage(Reason.WRONG_TYPE, f"{field}: {first['msg']}")
