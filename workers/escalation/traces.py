"""`voxpop traces build`: reasoning traces of a larger model, for training the generator and the encoder.

    texts, redacted -> none that gives orders -> reasons, then a label -> on disk -> does the label agree? -> training set

A trace is kept when its label is what people say (gold), else when most of several samples come to it. The endpoint is
believed in nothing else. A call fails and is asked again by the next run; an answer is never asked for twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from workers.escalation.asking import Asked, Asking, Held
from workers.escalation.completion import Completion
from workers.escalation.endpoint import CallFailed, Unusable
from workers.escalation.trace_journal import Answer, Item, Journal
from workers.escalation.trace_question import label_question, label_reader, reasons_question, reasons_reader
from workers.failpoints import failpoint

SAMPLED_AT = 0.7  # the temperature of several samples; one sample is taken at 0
Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Trace:
    """A row of the training set."""

    item: Item
    reasoning: str
    label: str


@dataclass(slots=True)
class TraceTally:
    """What came of a run, and of those before it. `disagreed`: texts whose samples came to nothing that agrees. `left`:
    texts that are not done. `held`: why no more was asked, budget or breaker."""

    kept: int = 0
    disagreed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    left: int = 0
    failed: int = 0
    held: str = ""


@dataclass(frozen=True, slots=True)
class TraceWish:
    """Which model is asked for which labels. `votes` samples are taken of a text without gold; of a longer text than
    `most_chars` the beginning is sent."""

    model: str
    labels: Sequence[str]
    votes: int
    seed: int
    most_chars: int


class Tracing:
    """One run over a journal."""

    def __init__(self, asking: Asking, journal: Journal, wish: TraceWish, redact: Redact) -> None:
        self._asking, self._journal, self._wish, self._redact = asking, journal, wish, redact

    def run(self, on_text: Callable[[int, int], None]) -> TraceTally:
        """Asks until every text is done, or nothing may be asked. Raises what the store raises; the next run goes on."""
        tally = TraceTally()
        for number, item in enumerate(self._journal.items):
            try:
                if not tally.held:
                    self._ask(number, item)
            except CallFailed:
                tally.failed += 1
            except Held as held:
                tally.held = str(held)
            on_text(number + 1, len(self._journal.items))
        done = [self._conclusion(number, item) for number, item in enumerate(self._journal.items)]
        tally.kept = sum(isinstance(each, Trace) for each in done)
        tally.left = sum(each is None for each in done)
        tally.disagreed = len(done) - tally.kept - tally.left
        tally.refused = dict(Counter(a.refused for a in self._journal.answers if a.refused is not None))
        return tally

    def traces(self) -> Iterator[Trace]:
        """What is kept of each text, in their order."""
        for number, item in enumerate(self._journal.items):
            if isinstance(found := self._conclusion(number, item), Trace):
                yield found

    def _ask(self, number: int, item: Item) -> None:
        for vote in range(self._samples(item)):
            if self._conclusion(number, item) is not None:
                return
            reasoning, label, refused = self._journal.of(number, vote)
            if refused or label is not None:
                continue
            if reasoning is None:
                reasoning = self._reasons(number, vote, item)
            if reasoning is not None:
                wish = self._wish
                asked = label_question(wish.model, item.text[: wish.most_chars], wish.labels, reasoning)
                self._answer(asked, label_reader(wish.labels, reasoning), "label", number, vote)

    def _reasons(self, number: int, vote: int, item: Item) -> str | None:
        wish, heat = self._wish, SAMPLED_AT if self._samples(item) > 1 else 0.0
        text = item.text[: wish.most_chars]
        asked = reasons_question(wish.model, text, wish.labels, heat, wish.seed + vote)
        return self._answer(asked, reasons_reader(text, self._redact), "reasoning", number, vote)

    def _answer(self, asked: Asked, read: Callable[[Completion], str], what: str, number: int, vote: int) -> str | None:
        """What was answered, which is in the journal then; None when it cannot be taken, which is there, too."""
        before = self._asking.tokens, self._asking.cost
        said: str | None = None
        try:
            said = self._asking.ask(asked, read)
            told = {what: said}
        except Unusable as unusable:
            told = {"refused": str(unusable)}
        tokens, cost = self._asking.tokens - before[0], round(self._asking.cost - before[1], 9)
        self._journal.add(Answer(item=number, vote=vote, tokens=tokens, cost=cost, **told))
        failpoint("trace-answered")
        return said

    def _samples(self, item: Item) -> int:
        return 1 if item.gold is not None else self._wish.votes

    def _conclusion(self, number: int, item: Item) -> Trace | bool | None:
        """The trace that is kept; False when none ever will be; None while that is open."""
        votes = [self._journal.of(number, vote) for vote in range(self._samples(item))]
        given = [(reasoning, label) for reasoning, label, refused in votes if reasoning and label and not refused]
        needed = 1 if item.gold is not None else self._wish.votes // 2 + 1
        counts = Counter(label for _, label in given if item.gold in (None, label))
        open_votes = sum(label is None and not refused for _, label, refused in votes)
        if not counts or max(counts.values()) < needed:
            return None if open_votes and max(counts.values(), default=0) + open_votes >= needed else False
        agreed = max(counts, key=lambda label: counts[label])
        return Trace(item, next(reasoning for reasoning, label in given if label == agreed), agreed)
