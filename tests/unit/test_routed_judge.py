"""Each text goes to the pack of the first route that fits it, and the answers come back in the order of the texts."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import validate_event
from schemas.insights import Analysis, Sentiment
from workers.analyze.judge import Request
from workers.analyze.redact import Redactor
from workers.analyze.routed import Route, RoutedJudge


class NamedJudge:
    """Stands in for a pack: answers with its name, None for the text "bad"."""

    version = "1"

    def __init__(self, name: str, *, topical: bool = True) -> None:
        self.name, self.topical = name, topical
        self.batches: list[int] = []
        self.closed = 0

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        self.batches.append(len(requests))
        return [None if request.text == "bad" else self._analysis(request) for request in requests]

    def close(self) -> None:
        self.closed += 1

    def _analysis(self, request: Request) -> Analysis:
        sentiment = Sentiment(label="neutral", score=0, confidence=1)
        return Analysis(text=request.text, language="en", sentiment=sentiment, pack=self.name, pack_version="1")


def routed() -> tuple[RoutedJudge, dict[str, NamedJudge]]:
    judges = {name: NamedJudge(name) for name in ("default", "phones", "forum")}
    phones, forum = judges["phones"], judges["forum"]
    routes = [
        Route("Phone", "shop", phones),
        Route(None, "forum", forum),
        Route("Phone", None, judges["default"]),
        Route("Tablet", None, phones),
        Route("call +34 600 123 456", None, phones),
    ]
    return RoutedJudge(judges["default"], routes, Redactor(regions=("ES",)), b"salt"), judges


@pytest.mark.parametrize(
    ("product", "source", "pack"),
    [
        ("Phone", "shop", "phones"),
        ("Phone", "forum", "forum"),
        ("Phone", "mail", "default"),
        ("Tablet", "mail", "phones"),
        ("Tablet", "forum", "forum"),
        ("phone", "shop", "default"),
        ("", "", "default"),
    ],
)
def test_the_first_route_that_fits_is_taken(product: str, source: str, pack: str) -> None:
    judge, _ = routed()
    (answer,) = judge.judge([Request("x", product=product, source=source)])
    assert answer is not None
    assert answer.pack == pack


@given(
    st.lists(st.tuples(st.sampled_from(["Phone", "Tablet", "Car"]), st.sampled_from(["shop", "forum"]), st.booleans()))
)
def test_answers_come_in_the_order_of_the_texts_and_each_pack_is_asked_once(texts: list[tuple[str, str, bool]]) -> None:
    judge, judges = routed()
    requests = [
        Request("bad" if bad else f"text {number}", product=product, source=source)
        for number, (product, source, bad) in enumerate(texts)
    ]
    answers = judge.judge(requests)
    assert [answer and answer.text for answer in answers] == [None if r.text == "bad" else r.text for r in requests]
    assert all(len(each.batches) <= 1 for each in judges.values())
    assert sum(sum(each.batches) for each in judges.values()) == len(texts)


def test_events_are_routed_by_what_is_stored_of_their_product_and_source() -> None:
    judge, _ = routed()
    base = {"id": "1", "kind": "review", "source": "mail", "text": "x", "created_at": "2026-11-02T10:00:00Z"}
    events = [judge.disguise(validate_event(base | {"product": name})) for name in ("call +34 600 123 456", "Car")]
    assert "600" not in events[0].product
    assert [answer and answer.pack for answer in judge.judge_events(events)] == ["phones", "default"]


def test_a_pack_that_several_routes_lead_to_is_closed_once() -> None:
    judge, judges = routed()
    judge.close()
    assert {each.closed for each in judges.values()} == {1}


def test_it_says_which_packs_give_topic_vectors() -> None:
    plain, topical = NamedJudge("plain", topical=False), NamedJudge("topical")
    judge = RoutedJudge(plain, [Route("Phone", None, topical)], Redactor(), b"salt")
    assert (judge.topical, judge.with_topics) == (False, frozenset({("topical", "1")}))
