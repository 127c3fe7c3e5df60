"""A stored insight with the label of a second opinion: the label alone, and that it was escalated."""

from schemas.insights import Insight, Route, Sentiment, SentimentLabel


def with_label(insight: Insight, label: SentimentLabel) -> Insight:
    """The insight as the row that takes its place says it. Score and confidence stay the pack's: the confidence is the
    probability that the pack gives this label, so a text whose label was changed stays among those that people review."""
    score = insight.sentiment.score
    confidence = round(min(1.0, max(0.0, _shares(insight.sentiment)[label])), 4)
    sentiment = Sentiment(label=label, score=score, confidence=confidence)
    return insight.model_copy(update={"sentiment": sentiment, "route": Route.ESCALATED})


def _shares(said: Sentiment) -> dict[SentimentLabel, float]:
    """The pack's probability of each label: they sum to one, and the score is that of positive less that of negative."""
    sure, score = said.confidence, said.score
    if said.label == "neutral":
        return {"negative": (1 - sure - score) / 2, "neutral": sure, "positive": (1 - sure + score) / 2}
    other = sure - abs(score) if (score > 0) == (said.label == "positive") else sure + abs(score)
    opposite: SentimentLabel = "negative" if said.label == "positive" else "positive"
    return {said.label: sure, opposite: other, "neutral": 1 - sure - other}
