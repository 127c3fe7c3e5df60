"""What two readers say of a tweet's sentiment, beside the one label that it has.

Labels of tweets are noisy, and an encoder that was shown each a few times knows them by heart. So a training that goes on
from a pack learns them together with a second opinion (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network";
Furlanello et al. 2018, "Born-Again Neural Networks"): that of a regression on the base's own embeddings, fitted on the other
folds alone, and that of the pack itself, tempered, since it has seen the labels.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from workers.slm.packs import Pack
from workers.slm.train.finetune.samples import Sample
from workers.slm.train.finetune.teacher import base_embeddings, hash_share

SHARE = 0.3  # of TweetEval's tweets: they are English all, and five times as many as the other languages'
FOLDS, STRENGTH = 5, 0.03  # the strength is the inverse of the L2 penalty
BASE_WEIGHT = 0.5  # of the base's reader beside the pack: by the dev sets, where both are asked of texts new to them
TEMPERATURE = 2.0  # the pack's, on texts that it was trained on

Array = NDArray[np.float32]


def opinions(samples: Sequence[Sample], pack: Pack, base: Path, cache: Path, threads: int) -> Tensor:
    """Probabilities (n, 3) of the sentiments; nan for texts that have no second opinion. `cache` keeps what was read."""
    wanted = [i for i, sample in enumerate(samples) if _is_asked(sample)]
    texts = [samples[i].text for i in wanted]
    gold = np.array([samples[i].labels["sentiment"] for i in wanted])
    own, theirs = _read(texts, pack, base, cache, threads)
    known, unseen = (torch.from_numpy(logits).log_softmax(dim=1) for logits in (own, _out_of_fold(theirs, gold, texts)))
    found = torch.full((len(samples), 3), float("nan"))
    found[wanted] = (known / TEMPERATURE + BASE_WEIGHT * unseen).softmax(dim=1)
    return found


def _is_asked(sample: Sample) -> bool:
    """A tweet with one text to a label."""
    if sample.domain == "tweets":
        return hash_share(sample.text) < SHARE
    return sample.domain.startswith("xlmt")


def _read(texts: Sequence[str], pack: Pack, base: Path, cache: Path, threads: int) -> tuple[Array, Array]:
    """The pack's logits (n, 3) and the base's embeddings (n, d)."""
    key = hashlib.sha256("\0".join([pack.version, *texts]).encode("utf-8", "surrogatepass")).hexdigest()
    if cache.is_file() and str((kept := np.load(cache))["key"]) == key:
        known: tuple[Array, Array] = (kept["own"], kept["theirs"])
        return known
    with pack.encoder(threads) as encoder:
        own = pack.heads.logits("sentiment", encoder.encode(texts).pooled)
    theirs = base_embeddings(texts, base, threads)
    np.savez(cache, key=key, own=own, theirs=theirs)
    return own, theirs


def _out_of_fold(vectors: Array, gold: NDArray[np.int64], texts: Sequence[str]) -> Array:
    """Logits (n, 3) of each text by a regression that was fitted without it, also where it stands in two sets."""
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    found = np.zeros((len(gold), 3), np.float32)
    for others, fold in GroupKFold(FOLDS, shuffle=True, random_state=3).split(scaled, groups=texts):
        head = LogisticRegression(C=STRENGTH, max_iter=500).fit(scaled[others], gold[others])
        found[fold] = head.decision_function(scaled[fold])
    return found
