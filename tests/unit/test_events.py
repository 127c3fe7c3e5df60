"""Any bytes are either an event or a dead letter with a reason; the limits of an event lie where the contract says."""

import json
import string
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import (
    KNOWN_FIELDS,
    MAX_MESSAGE_BYTES,
    Event,
    InvalidMessage,
    Reason,
    decode_event,
    decode_json,
    unknown_fields,
    validate_event,
)

EVENT: dict[str, Any] = {
    "id": "r-1",
    "kind": "review",
    "source": "shop",
    "product": "Zelko P4",
    "text": "Works.",
    "created_at": "2026-01-02T03:04:05Z",
}


def refusal(value: bytes | None) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as raised:
        decode_event(value)
    return raised.value


def encoded(**fields: Any) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


def reason_of(**fields: Any) -> Reason | None:
    try:
        decode_event(encoded(**fields))
    except InvalidMessage as invalid:
        return invalid.reason
    return None


# --- any event comes back as it went in

ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2026, 1, 1), timezones=ZONES)


def text_of(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(min_size=least, max_size=most)


EVENTS = st.fixed_dictionaries(
    {
        "id": text_of(1, 128),
        "kind": st.sampled_from(["review", "post"]),
        "source": text_of(1, 64),
        "product": text_of(1, 128),
        "text": text_of(1, 300).filter(str.strip),
        "created_at": MOMENTS,
    },
    optional={
        "title": st.none() | text_of(0, 500),
        "rating": st.none() | st.floats(1, 5) | st.integers(1, 5),
        "author": st.none() | text_of(0, 256),
        "language": st.none() | st.sampled_from(["en", "es-MX", "zh_Hant_TW"]),
        "url": st.none() | text_of(0, 300),
        "metadata": st.dictionaries(text_of(1, 64), text_of(0, 256), max_size=4),
    },
)


@settings(deadline=None)
@given(EVENTS)
def test_every_valid_event_is_decoded_field_for_field(fields: dict[str, Any]) -> None:
    event = decode_event(orjson.dumps({**fields, "created_at": fields["created_at"].isoformat()}))
    assert event.created_at == fields["created_at"]
    assert event.created_at.utcoffset() == timedelta(0)
    assert {name: getattr(event, name) for name in fields} == fields
    assert all(getattr(event, name) in (None, {}) for name in KNOWN_FIELDS - fields.keys())


@settings(deadline=None)
@given(EVENTS)
def test_an_event_written_out_and_read_again_is_the_same(fields: dict[str, Any]) -> None:
    event = validate_event({**fields, "created_at": fields["created_at"].isoformat()})
    assert decode_event(event.model_dump_json().encode()) == event


def test_an_event_cannot_be_changed() -> None:
    event = decode_event(encoded())
    with pytest.raises(ValidationError, match="frozen"):
        event.text = "Broken."  # type: ignore[misc]


# --- any bytes are an answer

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
@example(b'{"text": "\\ud800"}')
@example(b'{"rating": 1e999}')
@example(b"1" * 400)
@example(b'{"a":' * 5_000)
@example(b"[" * 100_000 + b"]" * 100_000)
@example(b'{"created_at": "0001-01-01T00:00:00+23:59"}')
def test_bytes_of_any_kind_raise_nothing_but_an_invalid_message(value: bytes) -> None:
    invalid = refusal(value)
    assert invalid.reason in Reason
    assert invalid.sentence == str(invalid) == " ".join(invalid.sentence.split())


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS)) | st.text(max_size=5), JSON_VALUES, max_size=12))
def test_objects_of_any_content_raise_nothing_but_an_invalid_message(fields: dict[str, Any]) -> None:
    for document in (fields, {**EVENT, **fields}):
        with suppress(InvalidMessage):
            decode_event(json.dumps(document).encode())


@settings(deadline=None)
@given(st.text(max_size=30))
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
@example("2026-01-01T00:00:00+99:99")
@example("z")
def test_any_string_as_a_time_is_a_time_or_a_bad_time(value: str) -> None:
    assert reason_of(created_at=value) in {None, Reason.BAD_TIME}


WRONG: dict[str, list[Any]] = {
    "id": ["", "{}" * 65, ["{}"]],
    "kind": ["{}", ["{}"]],
    "source": ["{}" * 33, {"{}": 1}],
    "text": ["{}" * 10_001, ["{}"]],
    "created_at": ["{}", ["{}"], "1931-07-19T21:22:23Z", "2931-07-19T21:22:23Z", "2026-07-19T21:22:23"],
    "title": ["{}" * 251, ["{}"]],
    "rating": ["{}", 1931.719, -1931.719],
    "language": ["{}", "{}{}{}"],
    "metadata": ["{}", {"{}": 1931}, {"{}" * 40: "x"}, {"{}": "{}" * 200}, {f"{{}}{n}": "{}" for n in range(33)}],
}


def with_secret(template: Any, secret: str) -> Any:
    if isinstance(template, str):
        return template.replace("{}", secret)
    if isinstance(template, list):
        return [with_secret(part, secret) for part in template]
    if isinstance(template, dict):
        return {with_secret(key, secret): with_secret(value, secret) for key, value in template.items()}
    return template


@pytest.mark.parametrize(("field", "template"), [(field, wrong) for field, wrongs in WRONG.items() for wrong in wrongs])
def test_a_sentence_names_the_field_and_never_what_the_producer_wrote(field: str, template: Any) -> None:
    invalid = refusal(encoded(**{field: with_secret(template, "ana.ruiz@example.com")}, **{"Ana Ruiz": 1}))
    assert field in invalid.sentence
    for written in ("ana", "ruiz", "example", "1931", "2931", "07-19", "21:22"):
        assert written not in invalid.sentence.lower(), invalid.sentence


@settings(deadline=None)
@given(st.text(alphabet=string.ascii_uppercase, min_size=6, max_size=12), st.binary(max_size=3))
def test_a_sentence_about_bad_json_holds_none_of_it(secret: str, junk: bytes) -> None:
    for value in (b'{"' + secret.encode() + junk, junk + secret.encode(), b'{"id": ' + secret.encode() + b"}"):
        assert secret not in refusal(value).sentence


# --- every reason can be had

WITHOUT_A_FIELD = [json.dumps({n: v for n, v in EVENT.items() if n != missing}).encode() for missing in EVENT]
WRONGLY_TYPED: list[dict[str, Any]] = [
    {"text": 5},
    {"id": None},
    {"rating": "5"},
    {"rating": True},
    {"metadata": []},
    {"metadata": {"k": None}},
    {"created_at": 1_767_323_045},
    {"title": ["t"]},
]
OUT_OF_RANGE: list[dict[str, Any]] = [
    {"rating": 0.99},
    {"rating": 5.01},
    {"kind": "tweet"},
    {"id": ""},
    {"language": "english"},
    {"language": "en\n"},
    {"metadata": {"": ""}},
]
BAD_TIMES = [
    "",
    "yesterday",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-02-30T00:00:00Z",
    "2026-01-02T23:59:60Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59-01:00",
    "0001-01-01T00:00:00+01:00",
]
REASONS: dict[Reason, list[bytes | None]] = {
    Reason.TOMBSTONE: [None],
    Reason.EMPTY: [b"", b" \r\n\t "],
    Reason.OVERSIZE: [encoded(text="x" * 20_001), encoded(x="x" * MAX_MESSAGE_BYTES), b"x" * (MAX_MESSAGE_BYTES + 1)],
    Reason.BAD_UTF8: [b"\xff", b'{"text": "caf\xe9"}'],
    Reason.BAD_JSON: [b"{", b"NaN", b"{'id': 1}", b'{"id": "1"} {}', b'{"text": "\\ud83d"}', b"\xef\xbb\xbf{}"],
    Reason.TOO_DEEP: [b"[" * 2_000 + b"]" * 2_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000],
    Reason.NOT_AN_OBJECT: [b"[]", b"42", b"null", b'"text"', b"true"],
    Reason.MISSING_FIELD: [b"{}", b'{"id": 5}', *WITHOUT_A_FIELD],
    Reason.WRONG_TYPE: [encoded(**fields) for fields in WRONGLY_TYPED],
    Reason.OUT_OF_RANGE: [encoded(**fields) for fields in OUT_OF_RANGE],
    Reason.BAD_TIME: [encoded(created_at=written) for written in BAD_TIMES],
}


def test_the_reasons_tested_here_are_all_but_the_one_that_no_message_can_carry() -> None:
    assert set(REASONS) == set(Reason) - {Reason.ANALYSIS_FAILED}


@pytest.mark.parametrize(
    ("reason", "value"), [(reason, value) for reason, values in REASONS.items() for value in values]
)
def test_each_reason_has_messages_of_its_own(reason: Reason, value: bytes | None) -> None:
    assert refusal(value).reason is reason


def test_a_missing_field_is_named_before_a_wrong_one() -> None:
    document = {**EVENT, "rating": "five"}
    del document["product"]
    invalid = refusal(json.dumps(document).encode())
    assert (invalid.reason, invalid.sentence) == (Reason.MISSING_FIELD, "the field product is missing")


# --- the limits


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("text", "x", ""),
        ("text", "x" * 20_000, "x" * 20_001),
        ("text", "🔥" * 20_000, "🔥" * 20_001),
        ("id", "x" * 128, "x" * 129),
        ("source", "x" * 64, "x" * 65),
        ("product", "x" * 128, "x" * 129),
        ("title", "x" * 500, "x" * 501),
        ("author", "x" * 256, "x" * 257),
        ("url", "x" * 2048, "x" * 2049),
        ("language", "es-419", "e"),
        ("language", "en" + "-x" * 16, "en" + "-x" * 17),
        ("rating", 1, 0.999_999),
        ("rating", 5, 5.000_001),
        ("metadata", {str(n): "" for n in range(32)}, {str(n): "" for n in range(33)}),
        ("metadata", {"k" * 64: "v"}, {"k" * 65: "v"}),
        ("metadata", {"k": "v" * 256}, {"k": "v" * 257}),
        ("metadata", {"k": ""}, {"": "v"}),
    ],
)
def test_a_limit_lies_where_the_contract_says(field: str, taken: Any, refused: Any) -> None:
    assert reason_of(**{field: taken}) is None
    assert reason_of(**{field: refused}) in {Reason.OUT_OF_RANGE, Reason.OVERSIZE}


@pytest.mark.parametrize("space", [" ", "\n\t ", "\u00a0", "\u3000", "\x1c\x85"])
def test_white_space_alone_is_no_text_but_may_surround_one(space: str) -> None:
    assert reason_of(text=space) is Reason.OUT_OF_RANGE
    assert decode_event(encoded(text=f"{space}x{space}")).text == f"{space}x{space}"


def test_a_time_may_lie_a_day_ahead_and_no_more() -> None:
    now = datetime.now(UTC)
    assert reason_of(created_at=(now + timedelta(hours=23, minutes=59)).isoformat()) is None
    assert reason_of(created_at=(now + timedelta(hours=24, minutes=1)).isoformat()) is Reason.BAD_TIME


def test_a_time_may_lie_at_the_start_of_1970_in_any_zone() -> None:
    assert reason_of(created_at="1970-01-01T00:00:00Z") is None
    assert reason_of(created_at="1969-12-31T19:00:00-05:00") is None
    assert reason_of(created_at="1970-01-01T00:59:59+01:00") is Reason.BAD_TIME


@pytest.mark.parametrize(
    "written",
    ["2026-01-02T03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02 00:04:05.000-03:00", "20260102T030405+0000"],
)
def test_a_time_in_any_zone_and_form_becomes_utc(written: str) -> None:
    assert decode_event(encoded(created_at=written)).created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_limit_of_a_messages_bytes_is_inclusive_and_the_callers_to_set() -> None:
    value = encoded()
    assert decode_json(value, max_bytes=len(value)) == EVENT
    with pytest.raises(InvalidMessage) as raised:
        decode_json(value, max_bytes=len(value) - 1)
    assert raised.value.reason is Reason.OVERSIZE


def test_unknown_fields_are_ignored_and_counted() -> None:
    document = decode_json(encoded(colour="red", seller={"id": 5}))
    assert unknown_fields(document) == 2
    assert unknown_fields(EVENT) == 0
    assert validate_event(document) == Event.model_validate(EVENT)
