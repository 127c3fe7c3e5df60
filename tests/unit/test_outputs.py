"""Two versions' answers side by side: what differs is counted, field by field."""

from typing import Any

import pytest

from workers.errors import UsageError
from workers.evaluate.outputs import differences


def answer(**fields: Any) -> dict[str, Any]:
    return {"sentiment": "positive", "score": 0.5, "aspects": [["battery", "positive", 0, 9]], **fields}


def test_equal_answers_differ_in_nothing() -> None:
    assert differences([answer(), answer()], [answer(), answer()]) == {"sentiment": 0, "score": 0, "aspects": 0}


def test_what_differs_is_counted_where_it_does() -> None:
    before = [answer(), answer(), answer()]
    now = [answer(sentiment="negative", score=-0.5), answer(aspects=[["battery", "positive", 0, 8]]), answer()]
    assert differences(before, now) == {"sentiment": 1, "score": 1, "aspects": 1}


def test_the_rounding_of_a_score_is_no_difference_and_a_hundredth_is() -> None:
    assert differences([answer()], [answer(score=0.509)])["score"] == 0
    assert differences([answer()], [answer(score=0.52)])["score"] == 1


def test_answers_of_other_texts_are_refused() -> None:
    with pytest.raises(UsageError, match="2 answers to compare 1"):
        differences([answer(), answer()], [answer()])
