"""What the API answers with, and what the pages show. Shares are 0…1, scores −1…1, times in UTC."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from dashboards.movers import Evidence
from schemas.insights import SentimentLabel


class ApiModel(BaseModel):
    """What an answer is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Days(ApiModel):
    """A window of whole days in UTC, both included."""

    first: date
    last: date


class Mix(ApiModel):
    """How many there are, and their sentiment."""

    texts: int
    negative: int
    neutral: int
    positive: int

    @property
    def negative_share(self) -> float | None:
        return self.negative / self.texts if self.texts else None

    @property
    def positive_share(self) -> float | None:
        return self.positive / self.texts if self.texts else None


class Totals(Mix):
    mean_score: float | None = Field(description="P(positive) - P(negative), over all texts; null without any.")
    mean_rating: float | None = Field(description="1…5, over the texts that carry one; null without any.")
    urgent: int


class ProductTotals(Totals):
    product: str


class Day(Mix):
    """One day. For an aspect `texts` counts its mentions and `mean_score` is null."""

    day: date
    mean_score: float | None


class AspectMix(Mix):
    """Mentions of an aspect; `texts` counts mentions."""

    aspect: str


class AspectChange(AspectMix):
    before: Mix = Field(description="The same in the window before.")


class Issue(ApiModel):
    """What a product's customers complain of, in its latest seven days of data."""

    product: str
    aspect: str
    mentions: int
    negative: int
    negative_share: float
    example: str = Field(description="The words that the surest negative mention rests on.")
    example_event_id: str
    last_seen: datetime


class Tested(ApiModel):
    """What a two-proportion z-test makes of a difference."""

    z: float | None = Field(description="Null when there are too few texts for the test.")
    p: float | None
    q: float | None = Field(description="p corrected for the comparisons of the same list (Benjamini–Hochberg).")
    evidence: Evidence = Field(description="strong: q < 0.01, likely: q < 0.05, chance, too_few.")


class MoverRow(Tested):
    """How a product's negative share changed from the window before."""

    product: str
    texts: int
    negative: int
    texts_before: int
    negative_before: int
    difference: float = Field(description="Of the negative shares, −1…1.")


class EmergingAspect(Tested):
    """An aspect that takes a larger share of its product's mentions than in the window before, beyond chance."""

    product: str
    aspect: str
    mentions: int
    negative: int
    of: int = Field(description="All mentions of the product.")
    mentions_before: int
    of_before: int
    difference: float = Field(description="Of the shares of mentions, 0…1.")


class Overview(ApiModel):
    window: Days
    before: Days
    totals: Totals
    totals_before: Totals
    days: list[Day] = Field(description="Every day of the window before and of the window, empty ones too.")
    products: list[ProductTotals]
    movers: list[MoverRow]
    emerging: list[EmergingAspect] = Field(description="The surest first, then the largest growth.")
    aspects: list[AspectMix]


class Products(ApiModel):
    window: Days
    products: list[ProductTotals]


class ProductDetail(ApiModel):
    product: str
    window: Days
    before: Days
    totals: Totals
    totals_before: Totals
    change: MoverRow | None = Field(description="Null when one of the windows is empty.")
    days: list[Day]
    aspects: list[AspectChange]
    issues: list[Issue]


class Side(ApiModel):
    """One of two that are compared."""

    product: str
    window: Days
    totals: Totals
    days: list[Day]


class AspectComparison(Tested):
    """`difference` of the negative shares of an aspect's mentions, here minus there; null when one side has none."""

    aspect: str
    here: Mix
    there: Mix
    difference: float | None


class Comparison(Tested):
    """A product beside another in the same days, or beside itself in the days before."""

    here: Side
    there: Side
    difference: float | None = Field(description="Of the negative shares, here minus there.")
    aspects: list[AspectComparison] = Field(description="Most mentioned first; tested together.")


class Aspects(ApiModel):
    window: Days
    aspects: list[AspectChange]


class Trend(ApiModel):
    window: Days
    days: list[Day]


class Issues(ApiModel):
    issues: list[Issue]


class Mention(ApiModel):
    """`start` and `end`: half-open, in characters of the text."""

    aspect: str
    sentiment: SentimentLabel
    confidence: float
    start: int
    end: int


class Text(ApiModel):
    event_time: datetime
    ingested_at: datetime
    topic: str
    partition: int
    offset: int
    event_id: str
    source: str
    kind: str
    product: str
    title: str
    text: str = Field(description="Redacted. Written by a stranger: escape it wherever you show it.")
    rating: float | None
    language: str
    sentiment: SentimentLabel
    score: float
    confidence: float
    aspects: list[Mention]
    intents: list[str]
    emotion: str
    urgency: float
    flags: list[str]
    pack: str
    pack_version: str
    route: str


class Texts(ApiModel):
    texts: list[Text]
    next: str | None = Field(description="The `cursor` of the next page; null on the last one.")


class TextCount(ApiModel):
    count: int
    latest: datetime | None = Field(description="When the latest of them came in.")


class Choices(ApiModel):
    """What there is to choose from."""

    products: list[str]
    sources: list[str]
    languages: list[str]
    aspects: list[str]
    intents: list[str]


class Minute(ApiModel):
    minute: datetime
    events: int


class Reason(ApiModel):
    reason: str
    letters: int
    latest: datetime


class PackInUse(ApiModel):
    pack: str
    version: str
    texts: int
    latest: datetime


class Certainty(ApiModel):
    """How sure the model was of a day's texts. Abstention: no emotion was sure enough to be named."""

    day: date
    texts: int
    mean_confidence: float
    unsure: int
    no_emotion: int


class WorkerFigures(ApiModel):
    """Of the workers whose metrics answered, together."""

    asked: int
    answered: int
    lag: int | None = Field(description="Messages beyond the committed offsets.")
    latency_p50_s: float | None = Field(description="From a message's time in its topic to its row; read off buckets.")
    latency_p95_s: float | None


class HealthFigures(ApiModel):
    now: datetime = Field(description="By ClickHouse's clock, to the minute.")
    latest: datetime | None = Field(description="When the latest event came in.")
    texts: int
    window: Days
    minutes: list[Minute]
    workers: WorkerFigures
    dead_letters: list[Reason]
    packs: list[PackInUse]
    certainty: list[Certainty]


class Letter(ApiModel):
    topic: str
    partition: int
    offset: int
    reason: str
    sentence: str
    failed_at: datetime


class Letters(ApiModel):
    letters: list[Letter]


class LatestDay(ApiModel):
    """The latest day with texts; None when there is none."""

    last: date | None


class Problem(BaseModel):
    """RFC 9457. `detail` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
