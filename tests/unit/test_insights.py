"""An insight that is stored is within its ranges, points into its own text, and can be read back unchanged."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from schemas.events import Reason
from schemas.insights import (
    Analysis,
    AspectMention,
    DeadLetter,
    Evidence,
    Insight,
    Method,
    Position,
    Route,
    Sentiment,
)

LABELS = st.sampled_from(["negative", "neutral", "positive"])
SHARES = st.floats(0, 1)
NAMES = st.text(min_size=1, max_size=12)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
NO_NUMBER_LIKE_THIS = [float("nan"), float("inf"), float("-inf")]


@st.composite
def insights(draw: st.DrawFn) -> Insight:
    text = draw(st.text(min_size=1, max_size=60))
    starts = draw(st.lists(st.integers(0, len(text) - 1), max_size=3))
    mentions = [
        AspectMention(
            aspect=draw(NAMES),
            sentiment=draw(LABELS),
            confidence=draw(SHARES),
            evidence=Evidence(start=start, end=draw(st.integers(start + 1, len(text)))),
        )
        for start in starts
    ]
    return Insight(
        text=text,
        language=draw(st.sampled_from(["en", "es", "und"])),
        sentiment=Sentiment(label=draw(LABELS), score=draw(st.floats(-1, 1)), confidence=draw(SHARES)),
        aspects=tuple(mentions),
        intents=tuple(draw(st.lists(NAMES, max_size=2))),
        urgency=draw(SHARES),
        toxicity=draw(SHARES),
        headline=draw(st.text(max_size=12)),
        method=draw(st.sampled_from(Method)),
        pack=draw(NAMES),
        pack_version=draw(NAMES),
        route=draw(st.sampled_from(Route)),
        redactions=draw(st.dictionaries(NAMES, st.integers(0, 65_535), max_size=2)),
        flags=tuple(draw(st.lists(NAMES, max_size=2))),
        labels=draw(st.dictionaries(NAMES, st.lists(NAMES, max_size=2).map(tuple), max_size=2)),
        topic=draw(NAMES),
        topic_id=draw(st.text(max_size=12)),
        partition=draw(st.integers(0, 2**31 - 1)),
        offset=draw(st.integers(0, 2**63 - 1)),
        event_id=draw(NAMES),
        kind=draw(st.sampled_from(["review", "post"])),
        source=draw(NAMES),
        product=draw(NAMES),
        rating=draw(st.none() | st.floats(1, 5)),
        metadata=draw(st.dictionaries(NAMES, st.text(max_size=12), max_size=2)),
        event_time=draw(MOMENTS),
        ingested_at=draw(MOMENTS),
    )


@settings(deadline=None)
@given(insights())
def test_an_insight_read_back_from_its_message_is_the_same(insight: Insight) -> None:
    message = orjson.dumps(insight.model_dump(mode="json"))
    assert Insight.model_validate_json(message) == insight
    written = Insight.model_fields.keys() - {"topic_vector"}  # for ClickHouse alone
    assert orjson.loads(message).keys() == written, "every field is written, defaults too"


def analysis(**fields: Any) -> Analysis:
    sentiment = Sentiment(label="neutral", score=0, confidence=1)
    return Analysis(
        **{"text": "Great.", "language": "en", "sentiment": sentiment, "pack": "p", "pack_version": "1"} | fields
    )


def mention(start: int, end: int) -> AspectMention:
    return AspectMention(aspect="sound", sentiment="positive", confidence=0.5, evidence=Evidence(start=start, end=end))


@settings(deadline=None)
@given(st.text(max_size=20), st.integers(-2, 24), st.integers(-2, 24))
def test_evidence_is_a_span_of_the_text_with_something_in_it_or_refused(text: str, start: int, end: int) -> None:
    if 0 <= start < end <= len(text):
        kept = analysis(text=text, aspects=(mention(start, end),)).aspects[0].evidence
        assert text[kept.start : kept.end]
        return
    with pytest.raises(ValidationError):
        analysis(text=text, aspects=(mention(start, end),))


def test_every_mentions_evidence_is_checked_not_only_the_first() -> None:
    with pytest.raises(ValidationError, match="evidence of sound ends after the text"):
        analysis(aspects=(mention(0, 5), mention(0, 7)))


@pytest.mark.parametrize("value", [-0.001, 1.001, *NO_NUMBER_LIKE_THIS])
def test_shares_lie_between_nought_and_one(value: float) -> None:
    for field in ("urgency", "toxicity"):
        with pytest.raises(ValidationError):
            analysis(**{field: value})
    with pytest.raises(ValidationError):
        Sentiment(label="neutral", score=0, confidence=value)
    with pytest.raises(ValidationError):
        AspectMention(aspect="a", sentiment="neutral", confidence=value, evidence=Evidence(start=0, end=1))


@pytest.mark.parametrize("value", [-1.001, 1.001, *NO_NUMBER_LIKE_THIS])
def test_a_score_lies_between_minus_one_and_one(value: float) -> None:
    with pytest.raises(ValidationError):
        Sentiment(label="neutral", score=value, confidence=1)


def insight(**fields: Any) -> Insight:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    position = {"topic": "voxpop.reviews", "partition": 0, "offset": 0}
    event = {"event_id": "r-1", "kind": "review", "source": "s", "product": "p", "event_time": now, "ingested_at": now}
    return Insight(**dict(analysis()) | position | event | fields)


@pytest.mark.parametrize("value", [0.99, 5.01, *NO_NUMBER_LIKE_THIS])
def test_a_rating_lies_between_one_and_five(value: float) -> None:
    assert insight(rating=None).rating is None
    assert insight(rating=5).rating == 5
    with pytest.raises(ValidationError):
        insight(rating=value)


@pytest.mark.parametrize(
    "fields",
    [
        {"partition": -1},
        {"offset": -1},
        {"kind": "tweet"},
        {"route": "guessed"},
        {"method": "invented"},
        {"mood": "sunny"},
        {"sentiment": {"label": "mixed", "score": 0, "confidence": 1}},
    ],
)
def test_an_insight_outside_the_contract_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        insight(**fields)


LETTER = DeadLetter(
    position=Position(topic="t", partition=0, offset=0), value=b"\xff", reason=Reason.BAD_UTF8, sentence="byte 0 is not"
)


@pytest.mark.parametrize(
    ("model", "field"),
    [(insight(), "text"), (LETTER, "value"), (LETTER.position, "offset"), (Evidence(start=0, end=1), "end")],
)
def test_nothing_that_goes_between_floors_can_be_changed(model: BaseModel, field: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, field, getattr(model, field))


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff\xfe"])
def test_a_dead_letter_keeps_its_bytes_untouched(value: bytes | None) -> None:
    letter = LETTER.model_copy(update={"value": value})
    assert DeadLetter(**dict(letter)).value == value


def test_a_dead_letter_says_when_it_failed_in_utc() -> None:
    before = datetime.now(UTC)
    letter = DeadLetter(**LETTER.model_dump(exclude={"failed_at"}))
    assert before <= letter.failed_at <= datetime.now(UTC)
