"""A ratio that is worse than its noise explains is found; one that is not, is not."""

import json
from pathlib import Path

import pytest

from workers.bench.usual import FIGURES, Usual, compared, read_usual, usual_of
from workers.errors import UsageError

FILE = Path(__file__).parents[1] / "benchmarks" / "usual.json"


def runs(*values: float) -> list[dict[str, float]]:
    return [dict.fromkeys(FIGURES, value) for value in values]


def test_the_usual_is_the_mean_of_the_runs_and_the_least_four_deviations_below() -> None:
    found = usual_of(runs(0.7, 0.8, 0.9))
    assert found == dict.fromkeys(FIGURES, Usual(0.8, 0.1, 3))
    assert found[FIGURES[0]].least == pytest.approx(0.4)


def test_another_processor_is_no_regression() -> None:
    assert Usual(0.8, 0.01, 5).least == pytest.approx(0.68)


def test_a_figure_that_a_run_lacks_has_no_usual() -> None:
    documents = runs(0.7, 0.8, 0.9)
    del documents[1][FIGURES[1]]
    assert set(usual_of(documents)) == set(FIGURES) - {FIGURES[1]}


def test_two_runs_do_not_tell_the_noise() -> None:
    with pytest.raises(UsageError, match="2 runs"):
        usual_of(runs(0.7, 0.8))


def test_what_is_worse_than_its_noise_is_named_and_nothing_else() -> None:
    usual = {"a": Usual(0.8, 0.05, 5), "b": Usual(0.8, 0.05, 5), "c": Usual(0.8, 0.05, 5)}
    table, worse = compared(usual, {"a": 0.61, "b": 0.59, "d": 0.0})
    assert worse == ["b"]
    assert "| a | 0.610 | 0.800 ± 0.050 | 0.600 |" in table
    assert "| c |" not in table


def test_a_run_that_measured_none_of_them_says_what_to_measure() -> None:
    with pytest.raises(UsageError, match="measure a"):
        compared({"a": Usual(0.8, 0.05, 5)}, {"b": 1.0})


@pytest.mark.parametrize("held", ["", "[]", '{"a": 1}', '{"a": {"mean": 1}}'])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, held: str) -> None:
    file = tmp_path / "usual.json"
    file.write_text(held, encoding="utf-8")
    with pytest.raises(UsageError, match=r"usual\.json"):
        read_usual(file)


def test_the_repositorys_file_has_every_ratio_with_its_noise() -> None:
    usual = read_usual(FILE)
    assert set(usual) == set(FIGURES)
    assert all(figure.runs >= 5 and 0 < figure.deviation < figure.mean / 4 for figure in usual.values())
    assert json.loads(FILE.read_text(encoding="utf-8"))
