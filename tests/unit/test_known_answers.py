"""A text that was judged is not judged again: what counts as the same text, and how much is remembered."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.insights import Analysis, Route, Sentiment
from schemas.taxonomy import load_taxonomy
from tests.reference.small_pack import small_pack
from workers.analyze.judge import Request, identity_of
from workers.analyze.known_answers import ASPECT_BYTES, FIXED_BYTES, KnownAnswers

ROOMY = 1 << 30


class CountingJudge:
    """Stands in for a model: each answer says how many texts were judged before it. "bad" cannot be judged."""

    def __init__(self, identity: str = "pack 1") -> None:
        self.identity = identity
        self.batches: list[list[Request]] = []
        self.judged = 0

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        self.batches.append(list(requests))
        return [None if request.text == "bad" else self._analysis(request) for request in requests]

    def _analysis(self, request: Request) -> Analysis:
        self.judged += 1
        sentiment = Sentiment(label="neutral", score=0, confidence=1)
        return Analysis(
            text=request.text,
            language="en",
            sentiment=sentiment,
            headline=f"{self.identity}, {self.judged}",
            pack="p",
            pack_version="1",
            redactions=dict(request.redactions),
        )


def told(answers: Sequence[Analysis | None]) -> list[tuple[str, str] | None]:
    return [answer and (answer.headline, str(answer.route)) for answer in answers]


def test_a_text_is_judged_once_within_a_batch_and_after_it() -> None:
    known, judge = KnownAnswers(10, ROOMY), CountingJudge()
    first = known.judge(judge, [Request("a"), Request("b"), Request("a")])
    assert told(first) == [("pack 1, 1", "slm"), ("pack 1, 2", "slm"), ("pack 1, 1", "cache")]
    assert told(known.judge(judge, [Request("b"), Request("c")])) == [("pack 1, 2", "cache"), ("pack 1, 3", "slm")]
    assert [[request.text for request in batch] for batch in judge.batches] == [["a", "b"], ["c"]]


FULL = Request("a", "title", "en", (("email", 1),), ("battery",), "Phone", "shop")


@pytest.mark.parametrize(
    "other",
    [
        replace(FULL, text="a "),
        replace(FULL, text="A"),
        replace(FULL, title=""),
        replace(FULL, title="", text="title\na"),
        replace(FULL, language="es"),
        replace(FULL, aspects=None),
        replace(FULL, aspects=()),
        replace(FULL, aspects=("screen",)),
    ],
)
def test_whatever_an_answer_depends_on_makes_another_text(other: Request) -> None:
    known, judge = KnownAnswers(10, ROOMY), CountingJudge()
    known.judge(judge, [FULL])
    (answer,) = known.judge(judge, [other])
    assert told([answer]) == [("pack 1, 2", "slm")]


def test_product_source_and_redactions_do_not_and_redactions_stay_each_texts_own() -> None:
    known, judge = KnownAnswers(10, ROOMY), CountingJudge()
    same = [replace(FULL, product="Car", source="mail", redactions=(("phone", 2),)), replace(FULL, redactions=())]
    answers = known.judge(judge, [FULL, *same])
    assert told(answers) == [("pack 1, 1", "slm"), ("pack 1, 1", "cache"), ("pack 1, 1", "cache")]
    assert [answer and answer.redactions for answer in answers] == [{"email": 1}, {"phone": 2}, {}]
    assert [answer and answer.redactions for answer in known.judge(judge, [FULL])] == [{"email": 1}]


def test_every_field_of_a_request_is_looked_at_here() -> None:
    """A field that is new is part of the key; this says whether it must be."""
    assert {*Request.__slots__} == {"text", "title", "language", "redactions", "aspects", "product", "source"}


def test_another_judge_does_not_get_the_answers_of_the_first() -> None:
    known = KnownAnswers(10, ROOMY)
    old, new = CountingJudge("old"), CountingJudge("new")
    known.judge(old, [Request("a")])
    assert told(known.judge(new, [Request("a")])) == [("new, 1", "slm")]
    assert told(known.judge(old, [Request("a")])) == [("old, 1", "cache")]


def test_the_identity_follows_the_packs_version_its_files_the_taxonomy_and_the_headlines_length(tmp_path: Path) -> None:
    card, taxonomy = small_pack(tmp_path).card, load_taxonomy()
    aspects = (
        taxonomy.aspects[0].model_copy(update={"descriptions": {"en": ("Other words.",)}}),
        *taxonomy.aspects[1:],
    )
    retrained = dict(card.files) | {"heads.safetensors": "0" * 64}
    found = [
        identity_of(card, taxonomy, 280),
        identity_of(card.model_copy(update={"version": "2"}), taxonomy, 280),
        identity_of(card.model_copy(update={"name": "other"}), taxonomy, 280),
        identity_of(card.model_copy(update={"files": retrained}), taxonomy, 280),
        identity_of(card, taxonomy.model_copy(update={"aspects": aspects}), 280),
        identity_of(card, taxonomy, 281),
    ]
    assert len(set(found)) == len(found)
    assert found[0] == identity_of(card.model_copy(), load_taxonomy(), 280)


def test_what_cannot_be_judged_is_tried_again_next_time() -> None:
    known, judge = KnownAnswers(10, ROOMY), CountingJudge()
    assert known.judge(judge, [Request("bad"), Request("bad")]) == [None, None]
    assert known.judge(judge, [Request("bad")]) == [None]
    assert [len(batch) for batch in judge.batches] == [1, 1]
    assert (len(known), known.bytes) == (0, 0)


def test_the_least_recently_used_is_given_up_first() -> None:
    known, judge = KnownAnswers(2, ROOMY), CountingJudge()
    known.judge(judge, [Request("a"), Request("b")])
    known.judge(judge, [Request("a")])
    known.judge(judge, [Request("c")])
    assert told(known.judge(judge, [Request("a")])) == [("pack 1, 1", "cache")]
    assert told(known.judge(judge, [Request("b")])) == [("pack 1, 4", "slm")]


@given(st.lists(st.lists(st.integers(0, 30).map(lambda n: Request("x" * 40 * n)), max_size=8), max_size=12))
def test_answers_and_bytes_stay_within_their_bounds_and_every_text_gets_its_own(batches: list[list[Request]]) -> None:
    size = 5 * (FIXED_BYTES + ASPECT_BYTES)
    known, judge = KnownAnswers(4, size), CountingJudge()
    for batch in batches:
        answers = known.judge(judge, batch)
        assert [answer and answer.text for answer in answers] == [request.text for request in batch]
        assert len(known) <= 4
        assert (len(known) > 0) <= (0 < known.bytes <= size)
    assert all(len(set(batch)) == len(batch) for batch in judge.batches)


def test_a_text_larger_than_the_memory_is_judged_and_not_kept() -> None:
    known, judge = KnownAnswers(10, FIXED_BYTES + 100), CountingJudge()
    known.judge(judge, [Request("x" * 1_000)])
    assert (len(known), known.bytes) == (0, 0)
    (answer,) = known.judge(judge, [Request("x" * 1_000)])
    assert answer is not None
    assert answer.route is Route.SLM
