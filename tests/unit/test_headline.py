import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.analyze.headline import choose_sentence, extract_headline, score_sentences
from workers.analyze.sentences import Span, split_sentences

REVIEW = (
    "We bought this kettle in March for the office kitchen. It boils a litre in under two minutes. "
    "The lid broke after a week, and since then steam burns your hand each time you pour the water. "
    "Support never answered my three messages about the broken lid. A pity. "
    "I would not buy this kettle again because the lid is dangerous."
)
LONG_SENTENCE = (
    "El hotel tiene una terraza preciosa con vistas al puerto y un desayuno enorme, pero la habitación olía a humedad y el "
    "aire acondicionado sonaba como un camión toda la noche, así que acabamos pidiendo otra habitación a las tres de la "
    "mañana y nadie en la recepción supo decirnos quién nos la iba a pagar ni cuándo."
)


def headline(text: str, **options: int) -> str:
    span = extract_headline(text, **options)
    assert span is not None
    return span.of(text)


def test_a_short_text_gets_no_headline() -> None:
    assert extract_headline("The lid broke after a week. Support never answered.") is None
    assert extract_headline(" " * 400) is None
    assert extract_headline(REVIEW, min_chars=len(REVIEW) + 1) is None


def test_the_sentence_with_the_best_score_is_the_headline() -> None:
    spans = split_sentences(REVIEW)
    for best, span in enumerate(spans):
        if span.of(REVIEW) == "A pity.":
            continue
        scores = [1.0 if i == best else 0.0 for i in range(len(spans))]
        chosen = extract_headline(REVIEW, sentence_scores=scores)
        assert chosen == span


def test_a_sentence_that_says_nothing_is_passed_over() -> None:
    spans = split_sentences(REVIEW)
    scores = [2.0 if span.of(REVIEW) == "A pity." else float(i == 1) for i, span in enumerate(spans)]
    assert extract_headline(REVIEW, sentence_scores=scores) == spans[1]


def test_the_sentence_nearest_to_the_centroid_is_chosen() -> None:
    text = (
        "The lid of this thing is always broken. " * 2
        + "Some other matter is told in here. "
        + "The lid of it is a broken one. " * 2
    )
    spans = split_sentences(text)
    embeddings = np.array([[1, 0.1], [1, 0.1], [-1, 1], [1, 0.6], [1, 0]], dtype=np.float32)
    scores = score_sentences(embeddings, text, spans)
    assert scores.shape == (5,)
    assert choose_sentence(embeddings, text, spans) == 0
    assert scores.argmin() == 2


def test_embeddings_of_zeros_still_give_a_choice() -> None:
    spans = split_sentences(REVIEW)
    assert choose_sentence(np.zeros((len(spans), 4), dtype=np.float32), REVIEW, spans) == 0


def test_a_wrong_number_of_scores_or_embeddings_is_refused() -> None:
    with pytest.raises(ValueError, match="sentences need as many"):
        extract_headline(REVIEW, sentence_scores=[1.0])
    with pytest.raises(ValueError, match="sentences need as many"):
        score_sentences(np.zeros((1, 4)), REVIEW, split_sentences(REVIEW))


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    assert headline(LONG_SENTENCE) == "El hotel tiene una terraza preciosa con vistas al puerto y un desayuno enorme"


@pytest.mark.parametrize("max_chars", range(40, 140, 7))
def test_a_cut_never_leaves_a_loose_end(max_chars: int) -> None:
    cut = headline(LONG_SENTENCE, max_chars=max_chars)
    assert len(cut) <= max_chars
    assert cut.split()[-1] in LONG_SENTENCE.replace(",", "").split()
    assert cut.split()[-1] not in {"y", "pero", "con", "a", "al", "el", "la", "un", "una", "que", "como", "de", "en"}
    assert cut[-1] not in ",;:"


@pytest.mark.parametrize("opener", ["But ", "And ", "Pero ", "Y ", "- ", "1. ", "So, "])
def test_it_does_not_begin_with_a_conjunction_or_a_bullet(opener: str) -> None:
    assert headline(opener + LONG_SENTENCE).startswith("El hotel")


def test_one_endless_word_gives_none() -> None:
    assert extract_headline("a" * 500) is None


TYPED = "The lid broke and pero el agua, is hot. ¡Qué mal! 😡 [EMAIL] 3.5 but; (why) y…\n"
words = st.lists(st.sampled_from(TYPED.split(" ")), min_size=60)


@given(words.map(" ".join), st.integers(20, 200))
def test_a_headline_is_whole_words_of_the_text(text: str, max_chars: int) -> None:
    span = extract_headline(text, max_chars=max_chars)
    if span is None:
        return
    assert 0 < span.end - span.start <= max_chars
    assert span.of(text).strip() == span.of(text)
    before, after = text[: span.start], text[span.end :]
    assert not before or before[-1].isspace() or not (before[-1].isalnum() and text[span.start].isalnum())
    assert not after or not (after[0].isalnum() and text[span.end - 1].isalnum())


def test_the_same_text_always_gives_the_same_headline() -> None:
    assert len({extract_headline(REVIEW) for _ in range(5)}) == 1
    assert isinstance(extract_headline(REVIEW), Span)
