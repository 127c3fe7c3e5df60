"""A row of `insights` as the insight that it was written from."""

from typing import Any

from schemas.insights import AspectMention, Evidence, Insight, Sentiment
from workers.store.rows import INSIGHT_COLUMNS

_SAME = tuple(c.name for c in INSIGHT_COLUMNS if c.name in Insight.model_fields and not c.name.startswith("sentiment"))


def stored_insight(row: dict[str, Any]) -> Insight:
    """From the values of INSIGHT_COLUMNS by name. Figures are as ClickHouse keeps them, in single precision."""
    label, score, confidence = row["sentiment"], row["sentiment_score"], row["sentiment_confidence"]
    mentions = zip(
        *(row[f"aspects.{part}"] for part in ("aspect", "sentiment", "confidence", "start", "end")), strict=True
    )
    aspects = tuple(
        AspectMention(aspect=aspect, sentiment=said, confidence=sure, evidence=Evidence(start=start, end=end))
        for aspect, said, sure, start, end in mentions
    )
    sentiment = Sentiment(label=label, score=score, confidence=confidence)
    return Insight(sentiment=sentiment, aspects=aspects, **{name: row[name] for name in _SAME})
