"""VADER (Hutto & Gilbert 2014): a lexicon of English words and rules. No model, no training, no probabilities."""

import time

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from schemas.taxonomy import SENTIMENTS
from workers.evaluate.answers import Answers
from workers.evaluate.rivals import Contest, Unfit

FROM = 0.05  # of the compound score in [-1, 1]: positive from here, negative from its negation, as its authors say


def answer(contest: Contest) -> Answers:
    """Raises `Unfit` when the labels are no sentiments."""
    if set(contest.labels) != set(SENTIMENTS):
        raise Unfit(f"it knows sentiments only ({', '.join(SENTIMENTS)}); take --head sentiment")
    analyzer = SentimentIntensityAnalyzer()
    began_s = time.perf_counter()
    compound = np.array([analyzer.polarity_scores(text)["compound"] for text in contest.texts])
    docs_per_s = len(contest.texts) / (time.perf_counter() - began_s)
    negative, neutral, positive = (contest.labels.index(label) for label in SENTIMENTS)
    said = np.select([compound >= FROM, compound <= -FROM], [positive, negative], neutral)
    return Answers("VADER", said.astype(np.int64), docs_per_s)
