"""Budget forcing: who stops early is made to go on, the limit ends it, and what is answered is always one of the labels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.errors import UsageError
from workers.slm.reasoning import GO_ON, Budget, Tokens, label_shares, think


class Scripted:
    """Says of each prompt what its script holds next, `stops` after so many tokens each time, and likes some labels more."""

    def __init__(self, stops: int = 1_000, liked: tuple[str, ...] = ()) -> None:
        self.stops, self.liked = stops, liked
        self.asked: list[list[Tokens]] = []

    def tokens(self, text: str) -> list[str]:
        return text.replace("\n", " \n ").split(" ")

    def go_on(self, prompts: list[Tokens], new_tokens: int) -> list[list[str]]:  # type: ignore[override]
        self.asked.append([tuple(prompt) for prompt in prompts])
        return [[f"t{len(prompt) + i}" for i in range(min(new_tokens, self.stops))] for prompt in prompts]

    def next_shares(self, prompts: list[Tokens], among: Tokens) -> NDArray[np.float64]:  # type: ignore[override]
        shares = np.array([0.9 if token in self.liked else 0.1 for token in among])
        return np.tile(np.log(shares / shares.sum()), (len(prompts), 1))


def test_without_a_budget_nothing_is_thought_and_the_model_is_not_asked() -> None:
    model = Scripted()
    assert think(model, [["p"], ["q"]], Budget(0, 0)) == [[], []]
    assert model.asked == []


def test_the_limit_ends_a_thought_that_would_go_on() -> None:
    (thought,) = think(Scripted(), [["p"]], Budget(4, 8))
    assert thought == [f"t{i}" for i in range(1, 9)]


def test_who_stops_early_is_made_to_go_on_from_what_was_thought() -> None:
    model = Scripted(stops=5)
    (thought,) = think(model, [["p"]], Budget(10, 32))
    go_on = model.tokens(GO_ON)
    assert len(thought) >= 10
    assert thought[5 : 5 + len(go_on)] == go_on
    assert model.asked[1] == [("p", *thought[: 5 + len(go_on)])]
    assert thought[5 + len(go_on)].startswith("t")


class Uneven(Scripted):
    """Stops after six tokens or after two."""

    def go_on(self, prompts: list[Tokens], new_tokens: int) -> list[list[str]]:  # type: ignore[override]
        return [
            said[: 6 if prompt[0] == "long" else 2]
            for prompt, said in zip(prompts, super().go_on(prompts, new_tokens), strict=True)
        ]


def test_who_has_thought_enough_may_stop_while_others_go_on() -> None:
    model = Uneven()
    long, short = think(model, [["long"], ["short"]], Budget(6, 12))
    assert len(long) == 6
    assert 6 <= len(short) <= 12
    assert [[prompt[0] for prompt in asked] for asked in model.asked][1:] == [["short"]] * (len(model.asked) - 1)


def test_nobody_goes_beyond_the_limit_because_another_may() -> None:
    long, short = think(Uneven(), [["long"], ["short"]], Budget(8, 12))
    assert len(long) == 12
    assert 8 <= len(short) <= 12


@pytest.mark.parametrize("stops", [0, 1, 3])
def test_a_model_that_says_nothing_is_still_ended_by_the_limit(stops: int) -> None:
    (thought,) = think(Scripted(stops), [["p"]], Budget(16, 16))
    assert len(thought) == 16


@pytest.mark.parametrize("liked", ["bad", "mixed", "very good", "very poor"])
def test_the_label_is_chosen_where_the_labels_part(liked: str) -> None:
    labels = ("bad", "mixed", "very good", "very poor")
    shares = label_shares(Scripted(liked=tuple(liked.split())), [["p"], ["q"]], labels)
    assert np.exp(shares).sum(axis=1) == pytest.approx([1, 1])
    assert [labels[i] for i in shares.argmax(axis=1)] == [liked] * 2


def test_a_label_that_begins_another_is_told_from_it() -> None:
    shares = label_shares(Scripted(liked=("very", "\n")), [["p"]], ("bad", "very", "very bad"))
    assert shares.argmax(axis=1).tolist() == [1]


@pytest.mark.parametrize(
    ("argument", "budget"), [("0", (0, 0)), ("64", (32, 64)), (" 16-64 ", (16, 64)), ("8-8", (8, 8))]
)
def test_a_budget_is_a_number_or_two(argument: str, budget: tuple[int, int]) -> None:
    assert Budget.parse(argument) == budget


@pytest.mark.parametrize("argument", ["", "-3", "a", "1-", "9-3", "1-2-3"])
def test_what_is_no_budget_is_told(argument: str) -> None:
    with pytest.raises(UsageError, match="budget"):
        Budget.parse(argument)
