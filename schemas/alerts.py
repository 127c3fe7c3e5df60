"""What goes out when something is unusual: an alert, which opens, changes while it lasts, and closes once."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class AlertKind(StrEnum):
    """What is unusual."""

    NEGATIVE_SHARE = "negative_share"
    VOLUME = "volume"
    URGENCY = "urgency"
    NEW_ASPECT = "new_aspect"
    SILENCE = "silence"
    CAMPAIGN = "campaign"


class AlertStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Signal(_Frozen):
    """One test of one series in one window, against the product's own past."""

    kind: AlertKind
    aspect: str = Field(default="", description="Empty when the signal is about the product as a whole.")
    source: str = Field(default="", description="Of a silence: the source that stopped; empty for all of them.")
    observed: int = Field(ge=0, description="How many texts were seen that the test counts.")
    texts: int = Field(ge=0, description="Out of so many; 0 where the count is not a part of anything.")
    expected: float = Field(ge=0, allow_inf_nan=False, description="How many the past lets expect.")
    p_value: float = Field(ge=0, le=1, description="How likely so many (of a silence: so few) are if nothing changed.")
    level: float = Field(ge=0, le=1, description="Below this p value the signal opens an alert.")
    test: str = Field(description="The test's name.")

    @property
    def unusual(self) -> bool:
        """Whether it opens an alert by itself."""
        return self.p_value < self.level


class Example(_Frozen):
    """A text that the alert rests on. `quote` is its beginning, or the evidence of the aspect; redacted."""

    source: str
    event_id: str
    quote: str


class Alert(_Frozen):
    """One revision of an alert; the one with the highest `revision` counts. The topic's key is the product."""

    alert_id: str = Field(
        description="Made of product, kind, aspect, source and first window: the same after any crash."
    )
    revision: int = Field(ge=1)
    status: AlertStatus
    product: str
    kind: AlertKind
    aspect: str = ""
    source: str = ""
    severity: Literal["medium", "high"]
    window_start: AwareDatetime = Field(description="Beginning of its first window.")
    window_end: AwareDatetime = Field(description="End of its last unusual window, exclusive.")
    closed_at: AwareDatetime | None = Field(default=None, description="End of the window that closed it.")
    closed_because: Literal["", "usual_again", "new_usual"] = ""
    signals: tuple[Signal, ...] = Field(min_length=1, description="The leading one first, each at its most unusual.")
    examples: tuple[Example, ...] = ()

    @property
    def leading(self) -> Signal:
        return self.signals[0]

    @property
    def moment(self) -> datetime:
        """The event time that this revision speaks of."""
        return self.closed_at or self.window_end
