"""ROUGE of the summaries on FewSum's groups stays above what was promised, where the data and the library are there."""

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from workers.evaluate.summaries import Group, groups, measured, rouge, ways
from workers.settings import load_settings

DATA = Path(__file__).parents[3] / "shared" / "data"
MUST_REACH = {"amazon": (31.0, 5.5, 18.5), "yelp": (32.0, 7.0, 19.5)}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("rouge_score") is None, reason="rouge-score is not installed: pip install -e '.[eval]'"
)


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def test_rouge_is_the_mean_over_the_references() -> None:
    group = Group([], ["the staff is friendly", "the food is cold"])
    figures = rouge([group], ["The staff is friendly."])
    assert figures["rouge1"] == pytest.approx((100 + 50) / 2)
    assert figures["rouge2"] == pytest.approx((100 + 0) / 2)


@pytest.mark.parametrize("domain", sorted(MUST_REACH))
@pytest.mark.parametrize("part", ["train", "dev"])
def test_composed_summaries_reach_what_they_must(stack: ExitStack, domain: str, part: str) -> None:
    file = DATA / f"fewsum_{domain}_{part}.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    outcome = measured(groups(file), ways(load_settings(), [], stack)["composed and quoted"].summarize)
    found = tuple(outcome.rouge.values())
    assert all(got >= least for got, least in zip(found, MUST_REACH[domain], strict=True)), found
