"""What the base's own embeddings say texts are about, so that fine-tuning does not forget it.

An encoder that learns sentiment lets go of topics: two complaints come to look alike, whatever they complain of. A linear
layer on the same mean state is therefore taught the base's embeddings, centred, since all of them are much alike (Mu &
Viswanath 2018). New aspects are found by it from their description alone. The base reads in int8 on CTranslate2.
"""

import hashlib
import json
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.analyze.sentences import split_clauses
from workers.slm.ct2_bert import write_encoder
from workers.slm.e5s1 import read_e5s1
from workers.slm.encoder import Encoder, EncoderShape, normalised
from workers.slm.train.finetune.samples import Sample

PREFIX = "query: "  # what E5 wants before a text that is compared with others of its kind
SHAPE = EncoderShape(PREFIX, 256, "<s>", "</s>")
SHARE = 0.4  # of the training texts that the base reads
CLAUSES, WORDS = 24_000, 8_000
TOPICAL = "topical"
CHUNK = 2_048
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Taught:
    """`row[i]` is the row of `vectors` (m, d), L2-normalised, that text i was taught, or -1."""

    row: NDArray[np.int64]
    vectors: Tensor

    def of(self, batch: Sequence[int]) -> tuple[list[int], Tensor]:
        """Which places of a batch were taught, and what."""
        rows = self.row[list(batch)]
        places = np.flatnonzero(rows >= 0).tolist()
        return places, self.vectors[rows[places]]


def topical(samples: Sequence[Sample], descriptions: Mapping[str, Sequence[str]], taught: float = 1.0) -> list[Sample]:
    """Short texts without labels: clauses and words of the training texts, and all that aspects are described by. `taught`
    is the share of what the base could read that it is given."""
    dice = random.Random(31)  # noqa: S311 - chooses training texts, guards nothing
    some = dice.sample(list(samples), min(len(samples), 3 * CLAUSES))
    clauses = sorted(set(_clauses(some)))
    words = sorted({word for sample in some for word in _WORD.findall(sample.text)})
    chosen = dice.sample(clauses, min(len(clauses), int(CLAUSES * taught)))
    chosen += dice.sample(words, min(len(words), int(WORDS * taught)))
    chosen += sorted({text for texts in descriptions.values() for text in texts})
    return [Sample(text, TOPICAL) for text in chosen]


def _clauses(samples: Sequence[Sample]) -> Iterator[str]:
    for sample in samples:
        for clause in split_clauses(sample.text):
            text = sample.text[clause.start : clause.end]
            if 2 <= len(text.split()) <= 14:
                yield text


def teach(samples: Sequence[Sample], base: Path, cache: Path, threads: int, taught: float = 1.0) -> Taught:
    """Has the base read all short texts and a share of the others. `cache` keeps what it said."""
    wanted = [i for i, s in enumerate(samples) if s.domain == TOPICAL or hash_share(s.text) < SHARE * taught]
    texts = sorted({samples[i].text for i in wanted})
    key = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    if cache.is_file() and str((kept := np.load(cache))["key"]) == key:
        vectors = kept["vectors"].astype(np.float32)
    else:
        vectors = base_embeddings(texts, base, threads)
        np.savez(cache, key=key, vectors=vectors.astype(np.float16))
    at = {text: row for row, text in enumerate(texts)}
    row = np.full(len(samples), -1, np.int64)
    row[wanted] = [at[samples[i].text] for i in wanted]
    return Taught(row, torch.from_numpy(normalised(vectors - vectors.mean(axis=0))))


def base_embeddings(texts: Sequence[str], base: Path, threads: int) -> NDArray[np.float32]:
    """The base's own L2-normalised embeddings (n, d), all its layers, in int8."""
    bert = read_e5s1(base)
    with tempfile.TemporaryDirectory(prefix="teacher-") as scratch:
        directory = Path(scratch)
        write_encoder(bert, directory, "int8")
        tokenizer = directory / "tokenizer.json"
        tokenizer.write_text(json.dumps(bert.tokenizer), encoding="utf-8")
        found = []
        with Encoder(directory, tokenizer, SHAPE, replicas=threads) as encoder:
            for start in range(0, len(texts), CHUNK):
                found.append(encoder.encode(texts[start : start + CHUNK]).pooled)
                print(f"the base has read {start + len(found[-1])} of {len(texts)} texts", flush=True)
    return np.concatenate(found)


def hash_share(text: str) -> float:
    """From 0 to 1, the same for a text every time."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4]) / 2**32
