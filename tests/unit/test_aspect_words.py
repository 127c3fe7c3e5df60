"""What calls an aspect: words of its name before words of its description, whatever their accents and plurals."""

import numpy as np

from workers.analyze.aspect_words import BY_DESCRIPTION, BY_NAME, AspectWords, stems

WORDS = AspectWords(
    [["pets", "Mascotas"], ["parking", "Aparcamiento"]],
    [["dogs and cats, whether pets are welcome", "perros y gatos"], ["where to leave the car", "dónde dejar el coche"]],
)


def test_a_name_counts_more_than_a_description() -> None:
    called = WORDS.called(["No pets here.", "My dog waited in the car.", "The soup was cold."])
    assert called.tolist() == [[BY_NAME, BY_DESCRIPTION, 0], [0, BY_DESCRIPTION, 0]]


def test_accents_plurals_case_and_endings_do_not_matter() -> None:
    assert WORDS.called(["APARCAR es imposible"])[1, 0] == BY_NAME
    assert WORDS.called(["el pérro"])[0, 0] == BY_DESCRIPTION
    assert stems(["Canción"]) == stems(["canciones"])


def test_words_that_mean_little_call_nothing() -> None:
    assert not WORDS.called(["and where was the one with the others"]).any()


def test_no_clauses_give_no_columns() -> None:
    assert WORDS.called([]).shape == (2, 0)
    assert np.isfinite(AspectWords([], []).called(["text"])).all()
