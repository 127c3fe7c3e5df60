"""What goes out: an insight per valid event, and a dead letter per message that could not be used."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.events import Kind, Reason

SentimentLabel = Literal["negative", "neutral", "positive"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Route(StrEnum):
    """Who judged the text."""

    CACHE = "cache"
    SLM = "slm"
    REASONED = "reasoned"
    ESCALATED = "escalated"


class Method(StrEnum):
    """How a headline came to be. `extractive` is a verbatim span of the text or its title."""

    ABSTRACTIVE = "abstractive"
    EXTRACTIVE = "extractive"
    NONE = "none"


class _Frozen(BaseModel):
    # Every field is written, those at their default too: the exported schema promises that to readers.
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Position(_Frozen):
    """Where a message lies: the record that every figure can be traced back to.

    `topic_id` is the broker's id of this incarnation of the topic: one that is deleted and made anew starts at offset
    zero again, and must not be taken for the old one.
    """

    topic: str
    topic_id: str = ""
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class Sentiment(_Frozen):
    label: SentimentLabel
    score: float = Field(ge=-1, le=1, allow_inf_nan=False, description="P(positive) - P(negative).")
    confidence: Share = Field(description="Calibrated probability of `label`.")


class Evidence(_Frozen):
    """Half-open character span [start, end) of the insight's stored (redacted) text."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"evidence [{self.start}, {self.end}) is empty")
        return self


class AspectMention(_Frozen):
    aspect: str = Field(min_length=1)
    sentiment: SentimentLabel
    confidence: Share
    evidence: Evidence


class Analysis(_Frozen):
    """What the models say of one text. `text` is the redacted text that every evidence span indexes."""

    text: str
    language: str = Field(description="ISO 639-1, or `und` when nothing tells.")
    sentiment: Sentiment
    aspects: tuple[AspectMention, ...] = ()
    intents: tuple[str, ...] = ()
    emotion: str = Field(default="", description="Empty when no emotion is sure enough.")
    urgency: Share = 0.0
    toxicity: Share = 0.0
    headline: str = ""
    method: Method = Method.NONE
    pack: str
    pack_version: str
    route: Route = Route.SLM
    redactions: Mapping[str, int] = Field(default_factory=dict, description="Kind of personal data -> how many.")
    flags: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Head of your own -> the labels it gives the text; none when it is not sure."
    )
    # What the text is about, as a unit vector times 127: for ClickHouse alone, so no message and no file carries it.
    topic_vector: tuple[int, ...] = Field(default=(), exclude=True, repr=False)

    @model_validator(mode="after")
    def _evidence_inside(self) -> Self:
        for mention in self.aspects:
            if mention.evidence.end > len(self.text):
                raise ValueError(f"evidence of {mention.aspect} ends after the text")
        return self


class Insight(Analysis):
    """One row of `voxpop.insights` and one message of the topic of that name. Holds no raw personal data.

    `topic`, `topic_id`, `partition` and `offset` are the `Position` of the event it was made from.
    """

    topic: str
    topic_id: str = ""
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    event_id: str
    content_hash: str = Field(default="", description="16 hex digits; another one under the same event is an update.")
    kind: Kind
    source: str
    product: str
    title: str = ""
    rating: float | None = Field(default=None, ge=1, le=5)
    author: str = Field(default="", description="HMAC-SHA256 pseudonym, 32 hex characters, or empty.")
    url: str = ""
    metadata: Mapping[str, str] = Field(default_factory=dict)
    event_time: datetime
    ingested_at: datetime


class DeadLetter(_Frozen):
    """A message that could not be used: its bytes, where it came from, and why."""

    position: Position
    key: bytes | None = None
    value: bytes | None = Field(description="The original bytes, untouched; None for a tombstone.")
    headers: tuple[tuple[str, bytes], ...] = ()
    reason: Reason
    sentence: str
    failed_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
