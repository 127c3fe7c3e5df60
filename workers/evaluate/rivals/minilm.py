"""The frozen MiniLM-L6 sentence encoder with logistic regression: the usual first step beyond words, without fine-tuning."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from workers.evaluate.answers import Answers
from workers.evaluate.rivals import Contest, Unfit
from workers.slm.build import ensure_pack
from workers.slm.encoder import Encoder
from workers.slm.errors import PackError

PACK = "minilm-l6-english"
C = 30.0  # inverse strength of the L2 penalty, the one this pack's own heads were fitted with
CHUNK = 4_096  # texts between two words of progress


def answer(contest: Contest) -> Answers:
    """Raises `Unfit` without texts to learn from, or when the pack cannot be built."""
    train, settings = contest.training(), contest.settings
    try:
        pack = ensure_pack(
            PACK,
            settings.packs_dir,
            settings.cache_dir,
            choice=settings.model.base_source,
            progress=contest.said,
        )
    except PackError as error:
        raise Unfit(f"its pack cannot be built: {error}") from error
    with pack.encoder(settings.model.replicas) as encoder:
        model = LogisticRegression(C=C, max_iter=2_000).fit(_embedded(encoder, train.texts, contest), train.gold)
        began_s = time.perf_counter()
        shares = model.predict_proba(encoder.encode(contest.texts).pooled)
        docs_per_s = len(contest.texts) / (time.perf_counter() - began_s)
    said = model.classes_[shares.argmax(axis=1)].astype(np.int64)
    return Answers("frozen MiniLM + logistic regression", said, docs_per_s, shares.max(axis=1))


def _embedded(encoder: Encoder, texts: Sequence[str], contest: Contest) -> NDArray[np.float32]:
    """The L2-normalised embeddings (n, d) of the texts to learn from."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        contest.said(f"frozen MiniLM reads the texts to learn from: {start:,} of {len(texts):,}")
        parts.append(encoder.encode(texts[start : start + CHUNK]).pooled)
    return np.concatenate(parts)
