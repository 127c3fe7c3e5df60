"""A batch is judged in parts, two in hand at a time: what is said of a text does not depend on it."""

import threading
from collections.abc import Sequence

import pytest

from schemas.insights import Analysis
from tests.by_hand import LIMIT_S
from workers.analyze import judge as judge_module
from workers.analyze.judge import Judge, Request
from workers.bench.texts import built_in_texts

TEXTS = 80
WHOLE = 10**9  # characters: one part
SAME = 0.01  # of a score: products of other shapes round otherwise
AT_THE_EDGE = 0.05  # of texts: so few have a probability that near its threshold


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    texts = built_in_texts(TEXTS)
    assert len({len(text) for text in texts}) > TEXTS / 3, "texts of many lengths, or nothing is put back in order"
    return [Request(text) for text in texts]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "PART_CHARS", 1_500)


def test_parts_say_what_the_whole_says(
    judge: Judge, requests: list[Request], monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    parts: list[int] = []
    judge_part = judge._judge_part

    def counted(some: Sequence[Request]) -> list[Analysis | None]:
        parts.append(len(some))
        return judge_part(some)

    monkeypatch.setattr(judge, "_judge_part", counted)
    parted = judge.judge(requests)
    assert len(parts) > 3
    assert sum(parts) == TEXTS
    monkeypatch.setattr(judge_module, "PART_CHARS", WHOLE)
    parts.clear()
    whole = judge.judge(requests)
    assert parts == [TEXTS]
    for request, one, other in zip(requests, parted, whole, strict=True):
        assert one is not None
        assert other is not None
        assert one.text == request.text
        assert one.sentiment.score == pytest.approx(other.sentiment.score, abs=SAME)
        assert one.urgency == pytest.approx(other.urgency, abs=SAME)
    differ = [one.text for one, other in zip(parted, whole, strict=True) if one and other and told(one) != told(other)]
    assert len(differ) <= AT_THE_EDGE * TEXTS, differ


def told(analysis: Analysis) -> tuple[object, ...]:
    """What an analysis says, without its scores."""
    aspects = [(each.aspect, each.sentiment, each.evidence) for each in analysis.aspects]
    return analysis.sentiment.label, aspects, analysis.intents, analysis.emotion, analysis.headline, analysis.flags


def test_two_parts_are_in_hand_at_a_time(
    judge: Judge, requests: list[Request], monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    meeting = threading.Barrier(2)
    judge_part = judge._judge_part
    some = requests[: TEXTS // 2]
    parts = list(judge_module._parted(some))
    if len(parts) % 2:
        some = [request for i, request in enumerate(some) if i not in parts[-1]]

    def together(part: Sequence[Request]) -> list[Analysis | None]:
        meeting.wait(LIMIT_S)  # breaks when no second part comes
        return judge_part(part)

    monkeypatch.setattr(judge, "_judge_part", together)
    assert None not in judge.judge(some)


def test_a_text_that_breaks_the_model_breaks_no_other(
    judge: Judge, requests: list[Request], monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    breaking = requests[TEXTS // 3].text
    judge_all = judge._judge

    def choosy(some: Sequence[Request]) -> list[Analysis]:
        if any(request.text == breaking for request in some):
            raise RuntimeError("no model could read this")
        return judge_all(some)

    monkeypatch.setattr(judge, "_judge", choosy)
    answers = judge.judge(requests)
    assert [answer and answer.text for answer in answers] == [
        None if request.text == breaking else request.text for request in requests
    ]
