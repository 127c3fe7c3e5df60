"""An extractive headline: the sentence of a long text that stands best for the whole, shortened at a clause.

The sentence is chosen by centrality, the cosine between its embedding and the mean of all (the centroid of Radev et al.,
2004), with small priors for where it stands and how long it is. Without embeddings, overlap with the words that the text
repeats takes the place of the cosine. A headline is always one span of the text, never a rewording.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.analyze.sentences import Span, split_clauses, split_sentences

# The priors move a choice between near equals. Counted words are a weak guide, so there the first sentence leads unless
# another is far ahead: on 435 long reviews with a title, agreement with the title (F1 of words) is 7.9 with a bonus of 0.1,
# 13.8 with 0.5 and 13.9 for always the first.
_FIRST_BONUS: Final = 0.10
_FIRST_BONUS_BY_WORDS: Final = 0.50
_LAST_BONUS: Final = 0.04
_LENGTH_WEIGHT: Final = 0.25
_GOOD_CHARS: Final = (35, 140)
_QUESTION_COST: Final = 0.08
_MIN_WORDS: Final = 3

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
# Words that cannot end a headline, and with the openers below cannot begin one either.
_DANGLING: Final = frozenset(
    word
    for words in (
        "a an the and or but nor so yet if as at by for from in into of on to with without about than that this which who",
        "when while where because although though however is are was were be been my your his her its our their very too",
        "not no only just even really i we it",
        "el la los las un una unos unas y e o u ni pero sino aunque porque si que de del a al con sin en por para como",
        "cuando donde mientras es son era fue está están mi mis tu su sus muy más tan no solo sólo lo le les se me nos ya",
        "sobre hasta",
    )
    for word in words.split()
)
_OPENER = re.compile(
    r"(?:[-*•●▪]\s+|\d{1,2}[.)]\s+)?"
    r"(?:(?:and|but|so|also|then|however|y|pero|además|también|entonces|sin embargo|en fin)\b[,:]?\s+)?",
    re.I,
)
_LOOSE_END = re.compile(r"[\s,;:(\[{\"'“«¿¡—–-]+$")


def score_sentences(embeddings: NDArray[np.floating], text: str, spans: Sequence[Span]) -> NDArray[np.float64]:
    """How well each sentence stands for the text, (n,), higher is better, from `embeddings` (n, d) of `spans`.

    Raises ValueError when there is not one embedding for each span.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(spans):
        raise ValueError(f"{len(spans)} sentences need as many embeddings, not an array of shape {embeddings.shape}.")
    vectors = embeddings.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    centroid = units.mean(axis=0)
    length = float(np.linalg.norm(centroid))
    centrality = units @ centroid / length if length > 0 else np.zeros(len(spans))
    return np.asarray(centrality + _priors(text, spans, _FIRST_BONUS), dtype=np.float64)


def choose_sentence(embeddings: NDArray[np.floating], text: str, spans: Sequence[Span]) -> int:
    """The index of the sentence that stands best for the text; the earliest of equals. `embeddings` is (n, d), n ≥ 1."""
    return int(np.argmax(score_sentences(embeddings, text, spans)))


def extract_headline(
    text: str,
    *,
    sentence_scores: Sequence[float] | NDArray[np.float64] | None = None,
    min_chars: int = 280,
    max_chars: int = 120,
) -> Span | None:
    """The headline of `text` as a span of at most `max_chars` characters; None when `text` is shorter than `min_chars`.

    `sentence_scores` holds one number for each span of `split_sentences(text)`, as `score_sentences` gives them; without it
    repeated words decide. None, too, when no sentence gives three words. Raises ValueError on a wrong number of scores.
    """
    if len(text.strip()) < min_chars:
        return None
    spans = split_sentences(text)
    scores = _word_scores(text, spans) if sentence_scores is None else [float(score) for score in sentence_scores]
    if len(scores) != len(spans):
        raise ValueError(f"{len(spans)} sentences need as many scores, not {len(scores)}.")
    for index in sorted(range(len(spans)), key=lambda i: (-scores[i], i)):
        headline = _shortened(text, spans[index], max_chars)
        if headline is not None:
            return headline
    return None


# --- choosing --------------------------------------------------------------------------------------------------------


def _priors(text: str, spans: Sequence[Span], first_bonus: float) -> NDArray[np.float64]:
    priors = np.zeros(len(spans))
    if len(spans) > 1:
        priors[0] += first_bonus
        priors[-1] += _LAST_BONUS
    shortest, longest = _GOOD_CHARS
    for i, span in enumerate(spans):
        length = span.end - span.start
        if length < shortest:
            priors[i] -= _LENGTH_WEIGHT * (1 - length / shortest)
        elif length > longest:
            priors[i] -= _LENGTH_WEIGHT * (1 - longest / length)
        if text[span.end - 1] == "?":
            priors[i] -= _QUESTION_COST
    return priors


def _word_scores(text: str, spans: Sequence[Span]) -> list[float]:
    """For each sentence the cosine between its content words and those of the whole text, with the priors."""
    bags = [Counter(_content(span.of(text))) for span in spans]
    whole: Counter[str] = Counter()
    for bag in bags:
        whole.update(bag)
    norm = math.sqrt(sum(count * count for count in whole.values())) or 1.0
    cosines = []
    for bag in bags:
        dot = sum(count * whole[word] for word, count in bag.items())
        cosines.append(dot / norm / (math.sqrt(sum(count * count for count in bag.values())) or 1.0))
    priors = _priors(text, spans, _FIRST_BONUS_BY_WORDS)
    return [cosine + float(prior) for cosine, prior in zip(cosines, priors, strict=True)]


def _content(sentence: str) -> list[str]:
    words = (word.lower() for word in _WORD.findall(sentence))
    return [word for word in words if len(word) > 2 and word not in _DANGLING]


# --- shortening ------------------------------------------------------------------------------------------------------


def _shortened(text: str, sentence: Span, max_chars: int) -> Span | None:
    start = without_opener(text, sentence)
    if sentence.end - start > max_chars:
        return _cut(text, Span(start, sentence.end), max_chars)
    return _if_it_says_something(text, Span(start, sentence.end))


def without_opener(text: str, sentence: Span) -> int:
    """Where the sentence begins once a bullet, a number or a conjunction before it is left out."""
    opener = _OPENER.match(text, sentence.start, sentence.end)
    return opener.end() if opener else sentence.start


def _cut(text: str, span: Span, max_chars: int) -> Span | None:
    """The longest run of whole clauses that fits, if it is long enough to say something; else as many whole words as fit."""
    ends = [clause.end for clause in _clauses_within(text, span) if clause.end - span.start <= max_chars]
    for end in reversed(ends):
        headline = _without_loose_end(text, span.start, end)
        if headline is not None and headline.end - headline.start >= _GOOD_CHARS[0]:
            return headline
    space = max(text.rfind(blank, span.start, span.start + max_chars + 1) for blank in " \t\n\u00a0")
    return _without_loose_end(text, span.start, space) if space > span.start else None


def _clauses_within(text: str, span: Span) -> list[Span]:
    return [Span(span.start + clause.start, span.start + clause.end) for clause in split_clauses(span.of(text))]


def _without_loose_end(text: str, start: int, end: int) -> Span | None:
    """The span without a last word or mark that promises more: "and", "el", a comma, an open bracket."""
    while end > start:
        loose = _LOOSE_END.search(text, max(start, end - 32), end)
        if loose:
            end = loose.start()
            continue
        word_start = end
        while word_start > start and not text[word_start - 1].isspace():
            word_start -= 1
        if text[word_start:end].strip("¿¡(\"'“«").lower() not in _DANGLING:
            break
        end = word_start
    return _if_it_says_something(text, Span(start, end))


def _if_it_says_something(text: str, span: Span) -> Span | None:
    return span if len(_WORD.findall(text, span.start, span.end)) >= _MIN_WORDS else None
