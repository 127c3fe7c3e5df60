"""SmolLM2-135M-Instruct without training: the label whose word it would go on with after the text.

What it would say of a text without content is divided out of what it says of each (Zhao et al. 2021, "Calibrate Before
Use"): a small generator prefers a label whatever it reads.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ctranslate2 import Generator  # type: ignore[attr-defined]  # re-exported from its extension
from tokenizers import Tokenizer

from workers.evaluate.answers import Answers
from workers.evaluate.metrics import Array
from workers.evaluate.rivals import Contest, Unfit
from workers.settings import usable_cpus
from workers.slm.ct2_llama import gguf_tokenizer, write_decoder
from workers.slm.errors import PackError
from workers.slm.gguf import read_gguf
from workers.slm.recipes import load_recipe
from workers.slm.sources import fetch_base

BASE = load_recipe("smollm2-135m-instruct").base
# Of the ways to ask that were tried on 300 tweets of the train set, chat with and without examples among them, the best.
AFTER = "\n{head}:"
WITHOUT_CONTENT = ("N/A", "[MASK]", "…")
MAX_TEXT_TOKENS = 256  # of a longer text, its beginning
BATCH_TOKENS = 1_024  # each token gives a number a word of the vocabulary: 200 MB


def answer(contest: Contest) -> Answers:
    """Raises `Unfit` when the model cannot be fetched, or two labels begin alike to it."""
    settings = contest.settings
    try:
        files = fetch_base(BASE, settings.cache_dir, settings.model.base_source, contest.said)
        contest.said("building SmolLM2 from its GGUF")
        gguf = read_gguf(files["weights"])
        with tempfile.TemporaryDirectory(prefix="smollm2-") as directory:
            write_decoder(gguf, Path(directory))
            model = Generator(directory, intra_threads=settings.model.replicas or usable_cpus())
    except PackError as error:
        raise Unfit(f"its model cannot be built: {error}") from error
    asking = _asking(model, gguf_tokenizer(gguf), contest)
    prior = asking.log_shares(WITHOUT_CONTENT).mean(axis=0)
    contest.said(f"SmolLM2 reads {len(contest.texts):,} texts")
    began_s = time.perf_counter()
    scores = asking.log_shares(contest.texts) - prior
    docs_per_s = len(contest.texts) / (time.perf_counter() - began_s)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    said = shares.argmax(axis=1).astype(np.int64)
    return Answers("SmolLM2-135M, label scoring", said, docs_per_s, shares.max(axis=1))


class _Asking(NamedTuple):
    """What stands after a text, as tokens, and the token that each label begins with."""

    model: Generator
    tokenizer: Tokenizer
    after: list[str]
    first: list[int]

    def log_shares(self, texts: Sequence[str]) -> Array:
        """Log probability of each label's first token after each text, among all labels: (n, labels)."""
        prompts = [self._prompt(text) for text in texts]
        logits = np.zeros((len(texts), len(self.first)))
        for batch in _batches([len(prompt) for prompt in prompts]):
            # Not `generate_batch`: with prompts of several lengths, its logits are of the shortest one's end.
            words = np.asarray(self.model.forward_batch([prompts[i] for i in batch]))
            for row, i in zip(words, batch, strict=True):
                logits[i] = row[len(prompts[i]) - 1, self.first]
        shares: Array = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return shares

    def _prompt(self, text: str) -> list[str]:
        tokens: list[str] = self.tokenizer.encode(f" {text}", add_special_tokens=False).tokens
        return [*tokens[:MAX_TEXT_TOKENS], *self.after]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of prompts of similar length, the longest first, as many as fit `BATCH_TOKENS`."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while order:
        size = max(1, BATCH_TOKENS // lengths[order[0]])
        yield order[:size]
        order = order[size:]


def _asking(model: Generator, tokenizer: Tokenizer, contest: Contest) -> _Asking:
    first = [int(tokenizer.encode(f" {label.replace('_', ' ')}").ids[0]) for label in contest.labels]
    if len(set(first)) < len(first):
        raise Unfit("two labels of the head begin with the same word to it; leave it out of --against")
    after = AFTER.format(head=contest.head.capitalize())
    return _Asking(model, tokenizer, tokenizer.encode(after).tokens, first)
