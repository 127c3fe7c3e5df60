"""Insights that are made up for alerts: so many a day, so many of them negative."""

from datetime import UTC, datetime, timedelta

from schemas.insights import AspectMention, Evidence, Insight, Sentiment

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
PRODUCT = "Desk Lamp"


def insight(
    number: int,
    moment: datetime,
    *,
    product: str = PRODUCT,
    negative: bool = False,
    urgency: float = 0.1,
    source: str = "shop",
    topic: str = "voxpop.reviews",
    text: str = "",
    aspects: tuple[str, ...] = (),
    arrived: datetime | None = None,
) -> Insight:
    """One insight; its words differ from its neighbours'."""
    said = text or f"{'I hate' if negative else 'I like'} it, said customer {number} of {product}"
    label = "negative" if negative else "positive"
    return Insight(
        topic=topic,
        partition=0,
        offset=number,
        event_id=f"e-{number}",
        kind="review",
        source=source,
        product=product,
        text=said,
        language="en",
        sentiment=Sentiment(label=label, score=-0.8 if negative else 0.8, confidence=0.9),
        aspects=tuple(
            AspectMention(aspect=a, sentiment=label, confidence=0.9, evidence=Evidence(start=0, end=8)) for a in aspects
        ),
        urgency=urgency,
        pack="words",
        pack_version="1",
        event_time=moment,
        ingested_at=arrived or datetime(2026, 6, 1, tzinfo=UTC),
    )


def days(
    counts: list[tuple[int, int]], *, product: str = PRODUCT, first: datetime = FIRST_DAY, number: int = 0
) -> list[Insight]:
    """Of each day (texts, negative ones): the texts, evenly over the day and in order."""
    made = []
    for day, (texts, negative) in enumerate(counts):
        for nth in range(texts):
            moment = first + timedelta(days=day, hours=24 * (nth + 0.5) / texts)
            made.append(insight(number + len(made), moment, product=product, negative=nth < negative))
    return made


# Ten quiet days, two bad ones, three quiet ones and a last text, so that the last of them is over.
INCIDENT = [(6, 1)] * 10 + [(14, 12), (13, 11)] + [(6, 1)] * 3 + [(6, 0)]
