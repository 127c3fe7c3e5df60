"""A few sentences on a group of texts, each of which its cited texts support: composed or generated, then quoted.

    texts -> set aside what orders machines about -> language -> opinions -> sentences -> guardrails -> quotes -> order

A sentence that fails a guardrail is replaced by the best quotation that passes. Quotations pass the same checks. What is
left, if anything, is shown; nothing else is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, Protocol

import numpy as np

from workers.analyze.compose import Draft, as_sentence, compose
from workers.analyze.content import stem
from workers.analyze.guardrails import Claim, failures, opposes, support
from workers.analyze.instructions import addresses_machine
from workers.analyze.language import detect_language
from workers.analyze.opinion_words import DETERMINERS
from workers.analyze.opinions import words_of
from workers.analyze.phrases import English, Phrases, Spanish
from workers.analyze.support import Evidence, Reader, cosine_share
from workers.analyze.tellings import LEANS, PLAIN, told_of, verdicts_of
from workers.analyze.topics import Group, group_of
from workers.analyze.verbatim import WORDS, Piece, pieces_of, spread_of, topical, worth_of

Method = Literal["abstractive", "extractive", "mixed", "none"]
COMPOSED_IN: Final = ("en", "es")


@dataclass(frozen=True)
class Sentence:
    """A sentence, the indices of the texts that it rests on, how far they support it (0…1), and whether it is a
    quotation."""

    text: str
    citations: tuple[int, ...]
    support: float
    quoted: bool


@dataclass(frozen=True)
class Summary:
    """What may be shown of a group of texts. `refused` counts sentences that failed a guardrail, by its name."""

    sentences: tuple[Sentence, ...]
    refused: dict[str, int]

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def method(self) -> Method:
        """Whether its sentences are the texts' own, new ones, or both."""
        kinds = {sentence.quoted for sentence in self.sentences}
        return "none" if not kinds else "mixed" if len(kinds) == 2 else "extractive" if True in kinds else "abstractive"


class Author(Protocol):
    """Writes sentences on a group of texts; believed in nothing."""

    prompt: str

    def write(self, texts: Sequence[str], language: str) -> list[str]:
        """Its sentences."""


@dataclass(frozen=True)
class Length:
    """How much a summary may say."""

    words: int = 45
    sentences: int = 8


LENGTH: Final = Length()


# How far each of some sentences says what is wanted, 0…1.
Wanted = Callable[[Sequence[str]], Sequence[float]]


class Summarizer:
    """Summarizes groups of texts with one encoder, and an author when there is one. Threads may share it."""

    def __init__(self, reader: Reader, author: Author | None = None) -> None:
        self._reader, self._author = reader, author

    def summarize(
        self,
        texts: Sequence[str],
        length: Length = LENGTH,
        product: str = "",
        before: Sequence[str] = (),
        wanted: Wanted | None = None,
    ) -> Summary:
        """A summary of redacted `texts` on a product; citations are their indices. Empty when nothing has support.
        `before` are the texts of the window before, for telling what is new. With `wanted` only what is wanted is said,
        the most wanted first, whether or not other texts share it."""
        chosen, language = _of_one_language([i for i, text in enumerate(texts) if not addresses_machine(text)], texts)
        if not chosen:
            return Summary((), {})
        own = [texts[i] for i in chosen]
        evidence = self._reader.read(own)
        vectors, leanings = self._reader.seen(own)
        signs = [_sign(x) for x in leanings.tolist()]
        ironic = self._reader.ironic(vectors).tolist()
        group = group_of(own, signs, told_of(evidence), verdicts_of(evidence, ironic))
        prompt = self._author.prompt if self._author else ""
        work = _Work(self._reader, evidence, group, leanings.tolist(), ironic, prompt, length, product, wanted)
        if self._author is not None:
            work.take([work.cited(text) for text in self._author.write(own, language)], replace=True)
        elif language in COMPOSED_IN:
            known = {stem(word) for text in before for word in words_of(text)} if before else None
            work.take(compose(group, _phrases(language, own), known), replace=False)
        work.fill()
        return Summary(tuple(_renumbered(s, chosen) for s in work.ordered()), dict(work.refused))


class _Work:
    """One summary while it is made."""

    def __init__(
        self,
        reader: Reader,
        evidence: Evidence,
        group: Group,
        leanings: Sequence[float],
        ironic: Sequence[bool],
        prompt: str,
        length: Length,
        product: str,
        wanted: Wanted | None = None,
    ) -> None:
        self._reader, self._evidence, self._group, self._prompt, self._length = reader, evidence, group, prompt, length
        self._leanings, self._ironic = leanings, ironic
        self._subject = f"{group.subject} {product}"
        self._pieces: list[Piece] = pieces_of(group.texts)
        self._wanted = wanted
        self._wants = _wants(self._pieces, wanted) if wanted is not None else {}
        self._spread = spread_of(group.texts)
        self._named = set(topical(product))  # that a text names the product says nothing of it
        self._shared: dict[Piece, float] = {}
        self._plain: dict[Piece, bool] = {}
        self._drafted: list[Sentence] = []
        self._quoted: list[Sentence] = []
        self.refused: Counter[str] = Counter()

    def take(self, drafts: Sequence[Draft], *, replace: bool) -> None:
        """The drafts that pass; with `replace`, a quotation for each that does not."""
        if self._wanted is not None:
            shares = self._wanted([draft.text for draft in drafts])
            drafts = [draft for draft, share in zip(drafts, shares, strict=True) if share >= WANTED]
        for draft, sentence in zip(drafts, self._checked(drafts, quoted=False), strict=True):
            if sentence is not None and len(self._drafted) < self._length.sentences:
                self._drafted.append(sentence)
            elif replace and draft.text:
                self._quote()

    def fill(self) -> None:
        """Adds quotations until the summary is as long as it may be."""
        while len(self._said()) < self._length.sentences and self._words() < self._length.words and self._quote():
            pass

    def cited(self, text: str) -> Draft:
        """A generated sentence with the texts that it is nearest to, one or several: it did not say."""
        vectors, _ = self._reader.seen([text])
        cosines = self._evidence.vectors @ vectors[0]
        best: dict[int, float] = {}
        for number, cosine in zip(self._evidence.owner.tolist(), cosines.tolist(), strict=True):
            best[number] = max(cosine, best.get(number, -1.0))
        ranked = sorted(best, key=lambda number: -best[number])
        near = [number for number in ranked if best[number] >= best[ranked[0]] - CITED_WITHIN][:CITED_MOST]
        return Draft(as_sentence(text), tuple(sorted(near)))

    def ordered(self) -> list[Sentence]:
        """What was drafted, and before its last sentences (a caveat and the verdict) what is quoted."""
        last = next((i for i, s in enumerate(self._drafted) if s.text.startswith(CLOSINGS)), len(self._drafted))
        return [*self._drafted[:last], *self._quoted, *self._drafted[last:]]

    def _said(self) -> list[Sentence]:
        return [*self._drafted, *self._quoted]

    def _words(self) -> int:
        return sum(len(sentence.text.split()) for sentence in self._said())

    def _quote(self) -> bool:
        """Adds the best quotation that fits and passes; False when there is none."""
        while (piece := self._best_piece()) is not None:
            self._pieces.remove(piece)
            if self._said() and self._words() + len(piece.text.split()) > self._length.words + WORDS[0]:
                continue
            if self._wanted is None and not self._stands_for_its_text(piece):  # a question may ask for a part
                continue
            (sentence,) = self._checked([Draft(as_sentence(piece.text), (piece.number,))], quoted=True)
            if sentence is not None:
                self._quoted.append(sentence)
                return True
        return False

    def _stands_for_its_text(self, piece: Piece) -> bool:
        """False for praise out of a text that is none, or that is ironic, and for what leans plainly against its text: read
        alone it misleads."""
        _, (leaning,) = self._reader.seen([piece.text])
        text = self._leanings[piece.number]
        if leaning >= LEANS and (text < LEANS or self._ironic[piece.number]):
            return False
        return not (leaning * text < 0 and min(abs(leaning), abs(text)) >= PLAIN)

    def _best_piece(self) -> Piece | None:
        """Of the pieces that say most of what others say, too, the one that most texts share by meaning."""
        covered = self._named | {stem for sentence in self._said() for stem in topical(sentence.text)}
        worths = {piece: self._worth(piece, covered) for piece in self._pieces}
        near = sorted((p for p in worths if worths[p] > 0), key=lambda p: -worths[p])[:SHORTLIST]
        self._note_shared([piece for piece in near if piece not in self._shared])
        fit = [piece for piece in near if self._shared[piece] > 0]
        return max(fit, key=lambda p: worths[p] * (1 + MEANING * self._shared[p]) * self._weight(p), default=None)

    def _weight(self, piece: Piece) -> float:
        """What neither praises nor blames says little alone: what it is told for stands in the sentences around it."""
        return 1.0 if self._wanted is not None or self._plain[piece] else FLAT

    def _worth(self, piece: Piece, covered: set[str]) -> float:
        """By what others say, too; when something is asked, by how far it answers, if it says anything new."""
        if self._wanted is None:
            return worth_of(piece.text, self._spread, covered)
        new = len(set(topical(piece.text)) - covered) > len(set(topical(piece.text))) / 2
        return self._wants[piece] if new and self._wants[piece] >= WANTED else 0.0

    def _note_shared(self, pieces: Sequence[Piece]) -> None:
        """How far the other texts have a clause that means the same, 0…1; 0 for what is toxic."""
        vectors, leanings = self._reader.seen([piece.text for piece in pieces])
        self._plain |= {piece: abs(own) >= LEANS for piece, own in zip(pieces, leanings.tolist(), strict=True)}
        toxic = self._reader.toxicity(vectors) if pieces else ()
        numbers = range(len(self._group.texts))
        for piece, vector, toxicity in zip(pieces, vectors, toxic, strict=bool(pieces)):
            cosines = self._evidence.vectors @ vector
            best = [cosines[self._evidence.owner == n].max(initial=-1.0) for n in numbers if n != piece.number]
            shared = float(np.mean([cosine_share(cosine) for cosine in best])) if best else 1.0
            self._shared[piece] = 0.0 if toxicity >= TOXIC else max(shared, 1e-6)

    def _checked(self, drafts: Sequence[Draft], *, quoted: bool) -> list[Sentence | None]:
        vectors, leanings = self._reader.seen([draft.text for draft in drafts])
        checked: list[Sentence | None] = []
        for draft, vector, leaning in zip(drafts, vectors, leanings.tolist(), strict=True):
            claim = Claim(draft.text, vector, leaning, draft.citations, self._subject, self._prompt)
            agreeing = tuple(number for number in draft.citations if not opposes(claim, self._evidence, number))
            claim = replace(claim, citations=agreeing or draft.citations)
            failed = failures(claim, self._evidence)
            self.refused.update(failed)
            rating = support(claim, self._evidence)
            checked.append(None if failed else Sentence(draft.shown, claim.citations, rating, quoted))
        return checked


WANTED: Final = 0.3  # from this share on a sentence says what is wanted
SHORTLIST: Final = 12  # pieces that are compared by meaning
MEANING: Final = 1.0  # what a piece that all texts share by meaning is worth more than one that none shares
FLAT: Final = 0.25  # what a quotation is worth that leans to neither side
TOXIC: Final = 0.5  # from this probability on a text is not quoted
CITED_WITHIN: Final = 0.03  # of the best cosine: texts that say the same
CITED_MOST: Final = 4
CLOSINGS: Final = ("However", "Overall", "Sin embargo", "En general")


def _sign(leaning: float) -> int:
    return int(np.sign(leaning)) if abs(leaning) >= LEANS else 0


def _wants(pieces: Sequence[Piece], wanted: Wanted) -> dict[Piece, float]:
    return dict(zip(pieces, wanted([piece.text for piece in pieces]), strict=True))


def _of_one_language(chosen: Sequence[int], texts: Sequence[str]) -> tuple[list[int], str]:
    """Those of the language that most are written in, English before Spanish before others; and that language."""
    languages = {i: detect_language(texts[i])[0] for i in chosen}
    counts = Counter(languages.values())
    if not counts:
        return [], ""
    language = max(counts, key=lambda name: (counts[name], name == "en", name == "es", name))
    return [i for i in chosen if languages[i] == language], language


def _phrases(language: str, texts: Sequence[str]) -> Phrases:
    return English() if language == "en" else Spanish(_articles(texts))


def _articles(texts: Sequence[str]) -> dict[str, str]:
    """Noun -> the article that the texts put before it most."""
    counts: Counter[tuple[str, str]] = Counter()
    for text in texts:
        words = words_of(text)
        counts.update((b, a) for a, b in pairwise(words) if a in ("el", "la", "los", "las") and b not in DETERMINERS)
    return {noun: article for (noun, article), _ in sorted(counts.items(), key=lambda item: item[1])}


def _renumbered(sentence: Sentence, chosen: Sequence[int]) -> Sentence:
    return Sentence(sentence.text, tuple(chosen[i] for i in sentence.citations), sentence.support, sentence.quoted)
