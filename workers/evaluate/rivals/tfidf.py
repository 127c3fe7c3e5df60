"""TF-IDF of words and pairs of words with logistic regression: what scikit-learn gives in five lines."""

import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from workers.evaluate.answers import Answers
from workers.evaluate.rivals import Contest, Unfit

C = 10.0  # inverse strength of the L2 penalty: the best of 1, 3 and 10 in cross-validation on 9,000 tweets of the train set


def answer(contest: Contest) -> Answers:
    """Raises `Unfit` without texts to learn from."""
    train = contest.training()
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=C, max_iter=2_000))
    contest.said(f"TF-IDF learns from {len(train.texts):,} texts")
    try:
        model.fit(train.texts, train.gold)
    except ValueError as error:
        raise Unfit(
            f"it found no words to learn from ({' '.join(str(error).split())}); give --train more texts"
        ) from error
    began_s = time.perf_counter()
    shares = model.predict_proba(contest.texts)
    docs_per_s = len(contest.texts) / (time.perf_counter() - began_s)
    said = model.classes_[shares.argmax(axis=1)].astype(np.int64)
    return Answers("TF-IDF + logistic regression", said, docs_per_s, shares.max(axis=1))
