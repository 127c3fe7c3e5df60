"""Questions in plain words: which texts are asked, and the answer in sentences with the texts that they rest on.

The model that answers is given to the dashboard by whoever starts it; it knows ClickHouse only by the reader it is handed.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any

import anyio
from pydantic import Field

from dashboards.clickhouse import Busy, LimitedReader
from dashboards.models import ApiModel
from dashboards.parameters import Asked, Day, Phrase, Word
from schemas.insights import SentimentLabel
from workers.errors import UsageError, VoxpopError
from workers.store.connect import StoreRefused, StoreUnavailable
from workers.store.nearest import Among, NearestTexts
from workers.store.query import Reader

WAIT_S = 20.0  # for the questions before: some seconds each

Ask = Callable[[str, Among, NearestTexts], dict[str, Any]]  # the fields of a `QuestionAnswer`


class WrongQuestion(VoxpopError):
    """There is nothing in it that could be answered."""


class CannotAnswer(VoxpopError):
    """This dashboard has no model that could answer, or the model no topics."""


class AskedQuestion(Asked):
    """A question, and which texts may answer it."""

    q: Phrase = Field(description="In plain words, in English or Spanish.")
    product: Word | None = Field(default=None, description="Only this product; else what the question names.")
    source: Word | None = None
    language: Word | None = None
    sentiment: SentimentLabel | None = None
    first: Day | None = Field(default=None, alias="from", description="Written on this day (UTC) or later.")
    last: Day | None = Field(default=None, alias="to", description="Written on this day (UTC) or earlier.")

    def among(self) -> Among:
        """The filters as the store has them."""
        products = (self.product,) if self.product else ()
        since = datetime.combine(self.first, time(), UTC) if self.first else None
        until = datetime.combine(self.last, time(), UTC) + timedelta(days=1) if self.last else None
        return Among(products, self.source, self.language, self.sentiment, since, until)


class AnswerSource(ApiModel):
    source: str
    event_id: str
    product: str
    event_time: datetime
    sentiment: SentimentLabel
    language: str
    text: str = Field(description="Redacted. Written by a stranger: escape it wherever you show it.")


class AnswerSentence(ApiModel):
    text: str
    support: float = Field(description="How well its sources support it, 0…1.")
    quoted: bool = Field(description="Whether it is a source's own sentence.")
    sources: list[AnswerSource]


class QuestionAnswer(ApiModel):
    question: str = Field(description="As asked, personal data redacted.")
    enough_evidence: bool = Field(description="When false there are no sentences.")
    answer: str
    sentences: list[AnswerSentence]
    texts: int = Field(description="How many texts answer it.")
    mix: dict[str, int] = Field(description="These by their sentiment.")
    compared: int = Field(description="How many texts the question and the filters leave.")
    products: list[str] = Field(description="What it was narrowed to.")


def cited(answer: QuestionAnswer) -> int:
    """How many texts it shows."""
    return len({(source.source, source.event_id) for sentence in answer.sentences for source in sentence.sources})


class Asking:
    """For one event loop. One question at a time: an answer takes a second of a core or two."""

    def __init__(self, reader: LimitedReader, ask: Ask | None) -> None:
        self._reader, self._ask = reader, ask
        self._turn = anyio.Lock()

    async def answer(self, asked: AskedQuestion) -> QuestionAnswer:
        """Raises `WrongQuestion`, `CannotAnswer`, `StoreUnavailable` (`Busy` among them) or `StoreRefused`."""
        ask = self._ask
        if ask is None:
            raise CannotAnswer("this dashboard was started without a model; start it with: voxpop dashboard")

        def work(reader: Reader, limits: dict[str, Any]) -> dict[str, Any]:
            return ask(asked.q, asked.among(), NearestTexts(reader, limits))

        try:
            async with self._its_turn():
                return QuestionAnswer.model_validate(await self._reader.run(work))
        except UsageError as error:
            raise WrongQuestion(str(error)) from error
        except (StoreUnavailable, StoreRefused):
            raise
        except VoxpopError as error:
            raise CannotAnswer(str(error)) from error

    @asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        try:
            with anyio.fail_after(WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy("other questions are being answered; ask again in some seconds") from None
        try:
            yield
        finally:
            self._turn.release()
