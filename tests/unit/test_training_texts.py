"""What the training texts promise: none of them measures, and what is put together says what its labels say."""

import re

import pytest

from schemas.samples import gold_labels
from schemas.taxonomy import load_taxonomy
from workers.slm.train.finetune import aspect_words
from workers.slm.train.finetune.composed import composed, phrases
from workers.slm.train.finetune.samples import sample_stream


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_every_aspect_has_clauses_of_every_sentiment_in_both_languages() -> None:
    known = phrases()
    assert set(known) == {aspect.name for aspect in load_taxonomy().aspects}
    for languages in known.values():
        assert set(languages) == {"en", "es"}
        assert all(len(lines[s]) >= 2 for lines in languages.values() for s in ("negative", "neutral", "positive"))


def test_no_clause_to_learn_from_stands_in_the_stream_that_measures() -> None:
    stream = " | ".join(words(text) for text, *_ in sample_stream(["en", "es"]))
    clauses = [c for languages in phrases().values() for lines in languages.values() for s in lines.values() for c in s]
    long = [words(clause) for clause in clauses if len(clause.split()) > 4]
    assert len(long) > 200
    assert [clause for clause in long if clause in stream] == []


def test_composed_texts_hold_a_clause_of_each_aspect_they_are_labelled_with() -> None:
    known = phrases()
    texts = composed(50)
    assert texts == composed(50)
    for text, said in texts:
        for name, sentiment in said.items():
            clauses = [c for lines in known[name].values() for c in lines[sentiment]]
            assert any(words(clause) in words(text) for clause in clauses)


def test_the_stream_lists_each_text_once_with_what_people_found() -> None:
    rows = sample_stream(["en", "es"])
    texts = [text for text, *_ in rows]
    assert len(texts) == len(set(texts))
    assert 300 < len(rows) <= len(gold_labels())


@pytest.mark.parametrize(
    ("term", "aspect"),
    [("battery life", "battery"), ("Windows 8", "software"), ("price tag", "price"), ("track pad", None)],
)
def test_terms_of_laptop_reviews_name_aspects_of_the_taxonomy(term: str, aspect: str | None) -> None:
    assert aspect_words.aspect_of_term(term) == aspect
    assert set(aspect_words.TERMS) <= {a.name for a in load_taxonomy().aspects}
