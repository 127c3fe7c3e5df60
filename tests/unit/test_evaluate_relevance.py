"""Weights for `voxpop ask` are fitted to what answers, and cautious about what nothing answers."""

from pathlib import Path

import numpy as np
import pytest

from workers.analyze.answer import LIKELY, SURE
from workers.evaluate.relevance import Asked, Weights, compared, figures, fitted, main, table

TRUE = Weights(np.array([4.0, 2.0, 1.0]), -4.0)


def asked(seed: int, *, answerable: bool) -> Asked:
    """Forty texts; where one may answer, those do of which the true weights think so, with the noise that they have."""
    draw = np.random.default_rng(seed)
    evidence = draw.uniform(0, 1, (40, 3)) if answerable else draw.uniform(0, 0.4, (40, 3))
    answers = draw.uniform(size=40) < TRUE.likely(Asked(evidence, np.zeros(40, bool), 0))
    right = answers if answerable else np.zeros(40, bool)
    return Asked(evidence, right, int(right.sum()))


QUESTIONS = [asked(seed, answerable=seed < 40) for seed in range(50)]


def test_the_weights_that_made_the_answers_are_found_again() -> None:
    found = fitted([each for each in QUESTIONS if each.there])
    assert found.of == pytest.approx(TRUE.of, abs=0.7)
    assert found.of.argsort().tolist() == TRUE.of.argsort().tolist()


def test_the_bias_lets_one_question_be_answered_wrongly_and_no_second() -> None:
    found = fitted(QUESTIONS)
    assert figures(QUESTIONS, [found.likely(each) for each in QUESTIONS]).wrongly <= 1
    bolder = Weights(found.of, found.bias + 0.02)
    assert figures(QUESTIONS, [bolder.likely(each) for each in QUESTIONS]).wrongly == 2


def test_figures_count_by_hand() -> None:
    texts = Asked(np.zeros((3, 3)), np.array([True, False, True]), 4)
    nothing = Asked(np.zeros((3, 3)), np.zeros(3, bool), 0)
    sure, unsure, alone = np.array([SURE, LIKELY, 0.0]), np.array([LIKELY] * 3), np.array([1.0, 0.0, 0.0])
    assert figures([texts, nothing], [sure, sure]) == (0.5, 1, 1, 0.5)
    assert figures([texts, nothing], [unsure, alone]) == (0.5, 0, 0, 0.0)


def test_a_question_is_judged_by_weights_that_have_not_seen_it() -> None:
    """Its texts answer by their topic where all others' answer by their words: what it teaches does not help it."""

    def by(column: int, seed: int) -> Asked:
        evidence = np.random.default_rng(seed).uniform(0, 1, (40, 3))
        answers = evidence[:, column] > 0.75
        return Asked(evidence, answers, int(answers.sum()))

    asked = [by(0, seed) for seed in range(4)] + [by(2, 4)]
    rows = compared(asked)
    assert [*rows] == ["in use", "fitted on these", "fitted on the others"]
    assert rows["fitted on the others"][1].recall < rows["fitted on these"][1].recall
    lines = table(rows, asked).splitlines()
    assert (len(lines), "answered of 5" in lines[0], "wrongly of 0" in lines[0]) == (5, True, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "does not list questions"),
        ("questions: [{question: why}]", "does not list questions"),
        ("questions: [", "does not list questions"),
    ],
)
def test_a_file_without_questions_is_an_error_in_a_line(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "questions.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit, match="2"):
        main([str(file)])
    assert said in capsys.readouterr().err.splitlines()[-1]
