"""What a caller may ask for. Everything is checked here; nothing of it ever becomes SQL, only a bound parameter."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.insights import SentimentLabel

DEFAULT_DAYS = 7
MAX_DAYS = 3_660
PAGE_TEXTS = 50
MAX_PAGE_TEXTS = 200


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("the character NUL is in no text")
    return value


Word = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_without_nul)]
Phrase = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2149, 6, 6))]  # what ClickHouse's Date holds


class Asked(BaseModel):
    """What an address may be asked with: nothing that it does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days in UTC, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Window":
        """The window of the same length that ends the day before this one begins."""
        return Window(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def all_days(self) -> list[date]:
        """Every day of it, in order."""
        return [self.first + timedelta(days=number) for number in range(self.days)]


class AskedWindow(Asked):
    """Either `days` up to the latest day that has texts, or `from` and `to`."""

    days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DAYS,
        description="So many days, up to the latest day with texts; 7 if nothing is said.",
    )
    first: Day | None = Field(default=None, alias="from", description="The first day (UTC), with `to`.")
    last: Day | None = Field(default=None, alias="to", description="The last day (UTC), included.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.first is None) != (self.last is None):
            raise ValueError("`from` and `to` come together")
        if self.first is None or self.last is None:
            return self
        if self.days is not None:
            raise ValueError("say `days`, or `from` and `to`, not both")
        if self.first > self.last:
            raise ValueError("`from` lies after `to`")
        if (self.last - self.first).days >= MAX_DAYS:
            raise ValueError(f"a window has at most {MAX_DAYS} days")
        return self

    def until(self, latest: date | None) -> Window:
        """The window itself. `latest` is the latest day with texts; without any it ends today."""
        if self.first is not None and self.last is not None:
            return Window(self.first, self.last)
        today = datetime.now(UTC).date()
        last = latest or today
        return Window(last - timedelta(days=(self.days or DEFAULT_DAYS) - 1), last)


class ProductWindow(AskedWindow):
    product: Word | None = Field(default=None, description="Only this product.")


class AskedComparison(AskedWindow):
    """Without `with`: the product's own days before."""

    product: Word
    other: Word | None = Field(default=None, alias="with", description="Another product, in the same days.")


class AskedTrend(ProductWindow):
    """The days of everything, of a product, or of one aspect; sources and languages are told apart for texts only."""

    aspect: Word | None = Field(default=None, description="Mentions of this aspect instead of texts.")
    source: Word | None = None
    language: Word | None = None

    @model_validator(mode="after")
    def _texts_or_mentions(self) -> Self:
        if self.aspect and (self.source or self.language):
            raise ValueError("trends of an aspect are not kept by source or language; ask /texts")
        return self


class AskedIssues(Asked):
    product: Word | None = Field(default=None, description="Only this product.")
    limit: int = Field(default=20, ge=1, le=200)


class TextFilter(Asked):
    """Which texts. Everything that is set must hold."""

    product: Word | None = None
    source: Word | None = None
    language: Word | None = None
    sentiment: SentimentLabel | None = None
    aspect: Word | None = Field(default=None, description="Texts that mention it.")
    polarity: SentimentLabel | None = Field(default=None, description="How they mention `aspect`.")
    intent: Word | None = None
    min_confidence: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    first: Day | None = Field(default=None, alias="from", description="Written on this day (UTC) or later.")
    last: Day | None = Field(default=None, alias="to", description="Written on this day (UTC) or earlier.")
    q: Phrase | None = Field(default=None, description="Words that text or title hold, as written, in any case.")

    @model_validator(mode="after")
    def _polarity_of_something(self) -> Self:
        if self.polarity and not self.aspect:
            raise ValueError("`polarity` needs an `aspect`")
        if self.first and self.last and self.first > self.last:
            raise ValueError("`from` lies after `to`")
        return self


class AskedTexts(TextFilter):
    limit: int = Field(default=PAGE_TEXTS, ge=1, le=MAX_PAGE_TEXTS)
    cursor: str | None = Field(default=None, max_length=512, description="`next` of the page before.")
