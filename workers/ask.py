"""`voxpop ask`: a question of plain words to the stored texts, answered in sentences that cite them.

    question -> product and words -> nearest texts (ClickHouse) -> which of them answer (encoder) -> cited sentences

Reads alone, so the read-only role suffices. What is deleted or erased is in no row and so in no answer.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from schemas.taxonomy import load_taxonomy
from workers.analyze.answer import Answer, Answerer
from workers.analyze.aspects_by_attention import AttentionFinder
from workers.analyze.question import Question, checked, read_question
from workers.analyze.redact import Redactor
from workers.analyze.relevance import Array, Relevance
from workers.analyze.summary import Summarizer
from workers.analyze.support import Reader as EvidenceReader
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.slm.errors import PackError
from workers.store.nearest import Among, Near, Nearest, NearestTexts, Sought
from workers.worker import build_redactor

NEAREST: Final = 128  # texts that the encoder looks at again


@dataclass(frozen=True)
class Cited:
    """A sentence, the texts it rests on, how far they support it (0…1), and whether it is a quotation."""

    text: str
    sources: tuple[Near, ...]
    support: float
    quoted: bool


@dataclass(frozen=True)
class Answered:
    """What is known: `sentences`, none when there is not enough evidence. `texts` answer, by sentiment in `mix`, out of
    `compared`, which are all that the question and the filters leave; `products` is what they were narrowed to."""

    question: str
    products: tuple[str, ...]
    sentences: tuple[Cited, ...]
    texts: int
    mix: Mapping[str, int]
    compared: int


class Asker:
    """Answers questions. Threads may share it: the encoder has its own, and ClickHouse's client takes any number."""

    def __init__(self, relevance: Relevance, answerer: Answerer, redactor: Redactor) -> None:
        self._relevance, self._answerer, self._redactor = relevance, answerer, redactor

    def ask(self, text: str, among: Among, store: NearestTexts) -> Answered:
        """The answer. Raises `UsageError` for what is no question, `StoreUnavailable` or `StoreRefused`, and `VoxpopError`
        when the texts have no topic vectors."""
        line = self._redactor.redact(checked(text)).text
        question = read_question(line, store.products())
        within = among if among.products else replace(among, products=question.products)
        nearest = self.nearest(question, within, store)
        answer = self._answerer.answer(question, [_seen(near) for near in nearest.texts], nearest.weights)
        return _answered(question, within, nearest, answer)

    def vector(self, question: Question) -> list[float]:
        """What the question is about, as stored vectors are compared with it."""
        vector: list[float] = self._relevance.vector(question).tolist()
        return vector

    def likely(self, question: Question, nearest: Nearest) -> Array:
        """P(answers) of each of the nearest texts, (n,)."""
        return self._relevance.of([_seen(near) for near in nearest.texts], question, nearest.weights)

    def evidence(self, question: Question, nearest: Nearest) -> Array:
        """What that is reckoned from, (n, 3); see `Relevance.evidence`."""
        return self._relevance.evidence([_seen(near) for near in nearest.texts], question, nearest.weights)

    def nearest(self, question: Question, among: Among, store: NearestTexts) -> Nearest:
        """The texts that are looked at again."""
        found = store.find(Sought(self.vector(question), question.stems), among, NEAREST)
        if not found.compared and store.count(among):
            raise VoxpopError(
                "the texts have no topic vectors of this pack yet; run: voxpop reprocess --since 1970-01-01"
            )
        return found


@contextmanager
def open_asker(settings: Settings) -> Iterator[Asker]:
    """An asker with the configured pack; builds it when it is missing.

    Raises `PackError`, also for a pack that was not taught topics, and `TaxonomyError`."""
    taxonomy = load_taxonomy(settings.taxonomy)
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    heads = pack.heads
    if heads.topics is None or heads.attention is None:
        raise PackError(f"the pack {pack.name} was not taught topics, so it cannot answer; set VOXPOP_MODEL__PACK")
    with pack.encoder(settings.model.replicas) as encoder:
        relevance = Relevance(encoder, AttentionFinder(taxonomy, encoder, heads.attention, heads.topics), heads.topics)
        answerer = Answerer(relevance, Summarizer(EvidenceReader(encoder, heads)))
        yield Asker(relevance, answerer, build_redactor(settings))


class LateAsker:
    """Asks as `Asker` does; the pack is loaded for the first question, so that whoever asks none does not wait for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._opened, self._loading = settings, ExitStack(), threading.Lock()
        self._asker: Asker | None = None

    def __call__(self, text: str, among: Among, store: NearestTexts) -> dict[str, Any]:
        """The answer as `as_fields` has it. Raises what `Asker.ask` and `open_asker` do."""
        checked(text)  # what is no question loads nothing
        with self._loading:
            if self._asker is None:
                self._asker = self._opened.enter_context(open_asker(self._settings))
        return as_fields(self._asker.ask(text, among, store))

    def close(self) -> None:
        """Ends the encoder's threads."""
        self._opened.close()


def as_fields(answered: Answered) -> dict[str, Any]:
    """An answer as the fields of a JSON object."""
    return {
        "question": answered.question,
        "enough_evidence": bool(answered.sentences),
        "answer": " ".join(sentence.text for sentence in answered.sentences),
        "sentences": [
            {
                "text": sentence.text,
                "support": sentence.support,
                "quoted": sentence.quoted,
                "sources": [_source(near) for near in sentence.sources],
            }
            for sentence in answered.sentences
        ],
        "texts": answered.texts,
        "mix": dict(answered.mix),
        "compared": answered.compared,
        "products": list(answered.products),
    }


def _answered(question: Question, among: Among, nearest: Nearest, answer: Answer) -> Answered:
    found = nearest.texts
    sentences = tuple(
        Cited(said.text, tuple(found[i] for i in said.citations), said.support, said.quoted)
        for said in answer.sentences
    )
    mix = Counter(found[i].sentiment for i, _ in answer.answering)
    return Answered(question.text, among.products, sentences, len(answer.answering), mix, nearest.compared)


def _seen(near: Near) -> str:
    """As the worker's encoder read it."""
    return f"{near.title}\n{near.text}" if near.title else near.text


def _source(near: Near) -> dict[str, str]:
    return {
        "source": near.source,
        "event_id": near.event_id,
        "product": near.product,
        "event_time": near.event_time.isoformat(),
        "sentiment": near.sentiment,
        "language": near.language,
        "text": _seen(near),
    }
