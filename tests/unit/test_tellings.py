"""A clause counts by how it leans: a verdict must be meant, and what is set against praise is no praise."""

from collections.abc import Sequence

import numpy as np

from workers.analyze.support import Evidence
from workers.analyze.tellings import told_of, verdicts_of


def evidence(*clauses: tuple[int, str, float]) -> Evidence:
    owner, said, leanings = zip(*clauses, strict=True)
    vectors = np.zeros((len(said), 1), np.float32)
    return Evidence(said, said, np.array(owner, np.int64), vectors, np.array(leanings, np.float32))


def verdicts(text: str, leaning: float, ironic: Sequence[bool] = (False,)) -> set[str]:
    return {name for name, numbers in verdicts_of(evidence((0, text, leaning)), ironic).items() if numbers}


def test_a_verdict_counts_where_its_clause_plainly_leans_so() -> None:
    assert verdicts("I would recommend it.", 0.9) == {"endorsing"}
    assert verdicts("I will change it the day you let me go back to the old one.", 0.5) == set()
    assert verdicts("Would I recommend it?", 0.9) == set()
    assert verdicts("It shows the worst it has.", -0.9) == {"refusing"}
    assert verdicts("57 minutes of the worst jazz.", 0.1) == set()


def test_love_that_is_ironic_is_none() -> None:
    assert verdicts("Love how they fixed it.", 0.9) == {"fond"}
    assert verdicts("Love how they fixed it.", 0.9, (True,)) == set()


def test_a_thing_in_a_clause_set_against_praise_is_not_praised() -> None:
    praise = (0, "Knees like new.", 0.3)
    assert (0, "sole", -1) in told_of(evidence(praise, (0, "But the sole is smooth", 0.5)))
    assert not told_of(evidence(praise, (0, "The sole is smooth", 0.5)))
    assert not told_of(evidence(praise, (1, "But the sole is smooth", 0.5)))
    assert (0, "sole", -1) in told_of(evidence(praise, (0, "But the sole is smooth", 0.9)))
    assert told_of(evidence((0, "Knees ache.", -0.3), (0, "But the sole is smooth", 0.9))) == {(0, "sole", 1)}
    assert told_of(evidence((0, "Knees ache.", 0.1), (0, "But the sole is smooth", 0.9))) == {(0, "sole", 1)}
