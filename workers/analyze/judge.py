"""Text to analysis: disguise, one encoder pass for everything, heads, aspects, headline. Pure, given a pack."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from schemas.events import Event
from schemas.insights import Analysis, Method, Sentiment
from schemas.taxonomy import Taxonomy
from workers.analyze.aspects import aspect_finder
from workers.analyze.aspects_by_attention import LABELS
from workers.analyze.disguise import SafeEvent, disguise
from workers.analyze.headline import extract_headline, score_sentences
from workers.analyze.language import detect_language
from workers.analyze.redact import Redactor
from workers.analyze.sentences import Span, split_clauses, split_sentences
from workers.slm.encoder import TokenStates, normalised, pool_spans
from workers.slm.errors import PackError
from workers.slm.heads import REASON
from workers.slm.packs import Pack, PackCard
from workers.slm.topics import stored

log = structlog.get_logger(__name__)

UNSURE_BELOW = 0.5  # calibrated probability of the winning sentiment; the insight is then flagged
MAX_HEADLINE_CHARS = 120
# Characters of a part: some batches of the encoder, and little to do after the last one.
PART_CHARS = 24_000
OWN_FIELDS = (
    "sentiment",
    "intents",
    "emotion",
    "urgency",
    "toxicity",
    "irony",
)  # heads that an analysis has a place for


@dataclass(frozen=True, slots=True)
class Request:
    """A text to judge, already redacted. `aspects` are names to judge instead of finding the taxonomy's; None finds them.
    `product` and `source` tell which pack judges it, no more."""

    text: str
    title: str = ""
    language: str = ""
    redactions: tuple[tuple[str, int], ...] = ()
    aspects: tuple[str, ...] | None = None
    product: str = ""
    source: str = ""

    @property
    def offset(self) -> int:
        """Where the text begins in `seen`."""
        return len(self.title) + 1 if self.title else 0

    @property
    def seen(self) -> str:
        """What the encoder reads: a title says in short what the text says at length."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class Judge:
    """Everything that turns an event into an analysis. Several threads may share one.

    Many texts are parted, and two parts are in hand at a time: while the encoder reads one, the next is cut into clauses
    and tokens, and the last becomes analyses.
    """

    def __init__(
        self,
        pack: Pack,
        taxonomy: Taxonomy,
        redactor: Redactor,
        salt: bytes,
        *,
        replicas: int | None = None,
        headline_min_chars: int = 280,
    ) -> None:
        """Loads the pack's encoder. Raises `PackError` when the pack has no heads for sentiment and aspects."""
        self._pack, self._redactor, self._salt = pack, redactor, salt
        self._headline_min_chars = headline_min_chars
        self._heads = pack.heads
        self.identity = identity_of(pack.card, taxonomy, headline_min_chars)
        if "sentiment" not in self._heads.cards:
            raise PackError(f"the pack {pack.name} has no head for sentiment; take another pack")
        self._encoder = pack.encoder(replicas)
        self._in_turn = ThreadPoolExecutor(2, thread_name_prefix="judge")
        self._aspects = aspect_finder(taxonomy, self._encoder, self._heads, pack.name)

    def disguise(self, event: Event) -> SafeEvent:
        """The event without personal data."""
        return disguise(event, self._redactor, self._salt)

    def redact(self, text: str, *, product: str = "") -> tuple[str, tuple[tuple[str, int], ...]]:
        """A bare text without personal data, and what was taken out: (kind, how many)."""
        redacted = self._redactor.redact(text, product=product)
        return redacted.text, tuple(sorted(redacted.counts.items()))

    def judge_events(self, events: Sequence[SafeEvent]) -> list[Analysis | None]:
        """One analysis an event, in order; None where no model could judge the text."""
        return self.judge([_request_of(event) for event in events])

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order. A text that breaks the model is found by halving and answered with None."""
        parts = list(_parted(requests))
        if len(parts) < 2:
            return self._judge_part(requests)
        answers: list[Analysis | None] = [None] * len(requests)
        judged = self._in_turn.map(lambda part: self._judge_part([requests[i] for i in part]), parts)
        for part, analyses in zip(parts, judged, strict=True):
            for i, analysis in zip(part, analyses, strict=True):
                answers[i] = analysis
        return answers

    def _judge_part(self, requests: Sequence[Request]) -> list[Analysis | None]:
        if not requests:
            return []
        try:
            return list(self._judge(requests))
        except Exception as error:  # noqa: BLE001 - whatever one text does, its neighbours must pass
            if len(requests) == 1:
                log.warning("a text could not be judged", error=type(error).__name__, chars=len(requests[0].text))
                return [None]
            half = len(requests) // 2
            return self._judge_part(requests[:half]) + self._judge_part(requests[half:])

    @property
    def topical(self) -> bool:
        """Whether its analyses have topic vectors."""
        return self._heads.topics is not None

    def close(self) -> None:
        """Ends its threads and the encoder's."""
        self._in_turn.shutdown()
        self._encoder.close()

    def _judge(self, requests: Sequence[Request]) -> list[Analysis]:
        split = [split_sentences(request.text) for request in requests]
        clauses = [split_clauses(request.text, some) for request, some in zip(requests, split, strict=True)]
        sentences = [
            some if self._wants_headline(request) else () for request, some in zip(requests, split, strict=True)
        ]
        for names in {request.aspects for request in requests if request.aspects}:
            self._aspects.learn(names)

        def look(indices: Sequence[int], tokens: Sequence[TokenStates]) -> list[_Seen]:
            readings = self._read([requests[i] for i in indices], tokens, [clauses[i] for i in indices])
            return [
                _Seen(each.pooled, pool_spans(each, _shifted(sentences[i], requests[i].offset)), reading)
                for i, each, reading in zip(indices, tokens, readings, strict=True)
            ]

        seen = self._encoder.reduce_batches([request.seen for request in requests], look)
        pooled = normalised(np.stack([each.pooled for each in seen]))
        heads, vectors = self._heads.predict(pooled), self._topic_vectors(pooled)
        return [
            self._analysis(
                request, clauses[i], sentences[i], seen[i], {name: p[i] for name, p in heads.items()}, vectors[i]
            )
            for i, request in enumerate(requests)
        ]

    def _read(
        self, requests: Sequence[Request], tokens: Sequence[TokenStates], clauses: Sequence[Sequence[Span]]
    ) -> list[Any]:
        """What each request's aspects read in its token states; those that ask for the same ones together."""
        readings: list[Any] = [None] * len(requests)
        for names in {request.aspects for request in requests}:
            some = [i for i, request in enumerate(requests) if request.aspects == names]
            texts, states = [requests[i].seen for i in some], [tokens[i] for i in some]
            spans = [_shifted(clauses[i], requests[i].offset) for i in some]
            for i, reading in zip(some, self._aspects.read_all(texts, states, spans, names), strict=True):
                readings[i] = reading
        return readings

    def _topic_vectors(self, pooled: NDArray[np.float32]) -> list[tuple[int, ...]]:
        """Of L2-normalised embeddings (n, d) the topics as they are stored; empty ones when the pack was not taught any."""
        if self._heads.topics is None:
            return [()] * len(pooled)
        return stored(self._heads.topics(pooled))

    def _analysis(
        self,
        request: Request,
        clauses: Sequence[Span],
        sentences: Sequence[Span],
        seen: "_Seen",
        heads: dict[str, NDArray[np.float32]],
        topic_vector: tuple[int, ...],
    ) -> Analysis:
        aspects = self._aspects.mentions(request.aspects, clauses, seen.reading, heads["sentiment"])
        headline, method = self._headline(request, sentences, seen.sentences)
        sentiment = _sentiment(heads["sentiment"])
        intents = self._labels("intents", heads) or ("other",)
        language = request.language.split("-")[0].split("_")[0] or detect_language(request.text)[0]
        return Analysis(
            text=request.text,
            language=language,
            sentiment=sentiment,
            aspects=aspects,
            intents=intents,
            emotion=next(iter(self._labels("emotion", heads)), ""),
            urgency=_share("urgency", heads),
            toxicity=_share("toxicity", heads),
            headline=headline,
            method=method,
            pack=self._pack.name,
            pack_version=self._pack.version,
            redactions=dict(request.redactions),
            flags=self._flags(sentiment, language, ironic=bool(self._labels("irony", heads))),
            labels=self._own_labels(heads, intents),
            topic_vector=topic_vector,
        )

    def _own_labels(
        self, heads: dict[str, NDArray[np.float32]], intents: tuple[str, ...]
    ) -> dict[str, tuple[str, ...]]:
        """What the heads without a field of their own say. A reason is looked for in complaints alone."""
        wanted = [n for n in heads if n not in OWN_FIELDS and (n != REASON or "complaint" in intents)]
        return {name: self._labels(name, heads) for name in wanted}

    def _labels(self, name: str, heads: dict[str, NDArray[np.float32]]) -> tuple[str, ...]:
        return self._heads.given(name, heads[name]) if name in heads else ()

    def _flags(self, sentiment: Sentiment, language: str, *, ironic: bool) -> tuple[str, ...]:
        flags = {
            "unsure": sentiment.confidence < UNSURE_BELOW,
            "language_not_served": language not in (*self._pack.card.languages, "und"),
            "ironic": ironic,
        }
        return tuple(name for name, raised in flags.items() if raised)

    def _wants_headline(self, request: Request) -> bool:
        """Whether its sentences are embedded: those of a text that is to get a headline of its own."""
        return len(request.text) >= self._headline_min_chars and not _is_headline(request.title)

    def _headline(
        self, request: Request, sentences: Sequence[Span], vectors: NDArray[np.float32]
    ) -> tuple[str, Method]:
        """A long text's title, or its most telling sentence cut to size: always its author's own words."""
        if len(request.text) < self._headline_min_chars:
            return "", Method.NONE
        if _is_headline(request.title):
            return request.title, Method.EXTRACTIVE
        scores = score_sentences(vectors, request.text, sentences) if len(sentences) else None
        span = extract_headline(
            request.text, sentence_scores=scores, min_chars=self._headline_min_chars, max_chars=MAX_HEADLINE_CHARS
        )
        return (span.of(request.text), Method.EXTRACTIVE) if span else ("", Method.NONE)


def _parted(requests: Sequence[Request]) -> Iterator[list[int]]:
    """Indices, the longest texts first: a part's are of similar length, as the encoder's batches want them."""
    part: list[int] = []
    chars = 0
    for i in sorted(range(len(requests)), key=lambda i: len(requests[i].seen), reverse=True):
        if part and chars + len(requests[i].seen) > PART_CHARS:
            yield part
            part, chars = [], 0
        part.append(i)
        chars += len(requests[i].seen)
    if part:
        yield part


def identity_of(card: PackCard, taxonomy: Taxonomy, headline_min_chars: int) -> str:
    """Of all that an answer depends on beside its request: the pack with its version, its thresholds and the hashes of its
    files, what is looked for in texts, and from which length on they get a headline."""
    told = repr((card.model_dump_json(), taxonomy.model_dump_json(), headline_min_chars))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _request_of(event: SafeEvent) -> Request:
    redactions = tuple(sorted(event.redactions.items()))
    return Request(event.text, event.title, event.language, redactions, product=event.product, source=event.source)


class _Seen(NamedTuple):
    """What is kept of a text's token states: their mean (d,), its sentences' vectors (k, d), what its aspects read."""

    pooled: NDArray[np.float32]
    sentences: NDArray[np.float32]
    reading: Any


def _shifted(spans: Sequence[Span], by: int) -> list[tuple[int, int]]:
    return [(span.start + by, span.end + by) for span in spans]


def _is_headline(title: str) -> bool:
    return 8 <= len(title) <= MAX_HEADLINE_CHARS


def _sentiment(probabilities: NDArray[np.float32]) -> Sentiment:
    """From (3,) probabilities of negative, neutral, positive."""
    best = int(probabilities.argmax())
    score = float(np.clip(probabilities[2] - probabilities[0], -1, 1))
    return Sentiment(label=LABELS[best], score=round(score, 4), confidence=round(float(min(1, probabilities[best])), 4))


def _share(name: str, heads: dict[str, NDArray[np.float32]]) -> float:
    """The probability of a head of one label, in [0, 1]; 0 when the pack lacks the head."""
    return round(float(min(1, heads[name][-1])), 4) if name in heads else 0.0
