"""Texts to vectors: tokenize, sort by length, fill batches by tokens, run them on all replicas, pool.

One thread a replica: on small CPUs, two replicas of one thread each beat one replica of two threads. Pooling happens in
the thread that ran the batch, so the states of a batch are gone before the next one needs the room.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import numpy as np
from ctranslate2 import Encoder as Model  # type: ignore[attr-defined]  # re-exported from its extension
from ctranslate2 import StorageView  # type: ignore[attr-defined]
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from workers.slm.errors import PackError

Vector = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]
T = TypeVar("T")

# What stays in the caches: 384 ran a third faster than 2,048 on 1,000 real texts, and bounds a batch's states to 600 kB.
BATCH_TOKENS = 384


@dataclass(frozen=True)
class EncoderShape:
    """How a pack wants its texts laid out. `window_tokens` counts the prefix and the two special tokens."""

    prefix: str
    window_tokens: int
    start_token: str
    end_token: str


class TokenStates(NamedTuple):
    """What the last layer says of one text, window after window when it is longer than one.

    `pooled` (d,) is the mean over every token of every window, prefix and specials included, as the base was trained;
    not normalised. `states` (t, d) and `offsets` (t, 2) are of the text's own tokens: offsets are characters, half open.
    """

    pooled: Vector
    states: Vector
    offsets: NDArray[np.int32]


class Encoded(NamedTuple):
    """Of n texts: `pooled` (n, d), L2-normalised; `spans[i]` (k_i, d), the L2-normalised mean state of each span asked
    for, or zeros where no token touches it; `tokens` (n,), each text's own token count."""

    pooled: Vector
    spans: list[Vector]
    tokens: NDArray[np.int32]


class _Tokens(NamedTuple):
    ids: list[int]
    offsets: NDArray[np.int32]


class Encoder:
    """A CTranslate2 encoder with its tokenizer. Threads may share one; `close` (or `with`) ends its threads."""

    def __init__(
        self,
        model_dir: Path,
        tokenizer_file: Path,
        shape: EncoderShape,
        *,
        replicas: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        """Load the model. `replicas` defaults to the CPUs this process may use.

        From now on numpy's products stay in the thread that asks for them, in the whole process: threads that BLAS wakes
        for small ones wait for work in a loop, on the CPUs that the replicas need.
        """
        threadpool_limits(1, user_api="blas")
        self.replicas = replicas or _cpus()
        self.batch_tokens = batch_tokens
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        prefix = self._tokenizer.encode(shape.prefix, add_special_tokens=False).ids
        self._head = [_token_id(self._tokenizer, shape.start_token), *prefix]
        self._tail = [_token_id(self._tokenizer, shape.end_token)]
        self._room = shape.window_tokens - len(self._head) - len(self._tail)
        self._model = Model(str(model_dir), inter_threads=self.replicas, intra_threads=1)
        # One more than replicas, so that a batch waits for each that comes free while others are pooled and read.
        self._threads = ThreadPoolExecutor(self.replicas + 1, thread_name_prefix="encoder")

    def encode(self, texts: Sequence[str], spans: Sequence[Spans] | None = None) -> Encoded:
        """The vectors of `texts`, in their order, and of each text's `spans` (characters) from the same pass."""
        wanted = spans if spans is not None else [()] * len(texts)
        found = self.reduce(texts, lambda i, token: (token.pooled, pool_spans(token, wanted[i]), len(token.states)))
        if not found:
            empty = np.zeros((0, 0), np.float32)
            return Encoded(empty, [], np.zeros(0, np.int32))
        pooled = normalised(np.stack([pooled for pooled, _, _ in found]))
        return Encoded(pooled, [each for _, each, _ in found], np.array([n for _, _, n in found], np.int32))

    def reduce(self, texts: Sequence[str], function: Callable[[int, TokenStates], T]) -> list[T]:
        """`function(index, states)` of every text, in their order. It runs in several threads, once a text; what it
        keeps of `states` it must copy."""
        return self.reduce_batches(
            texts, lambda batch, states: [function(*each) for each in zip(batch, states, strict=True)]
        )

    def reduce_batches(
        self, texts: Sequence[str], function: Callable[[Sequence[int], Sequence[TokenStates]], Sequence[T]]
    ) -> list[T]:
        """As `reduce`, with all texts of a batch at once: `function(indices, states)` answers for each of them."""
        texts_tokens = self._tokenize(texts)
        results: dict[int, T] = {}

        def run(batch: list[int]) -> None:
            states = list(self._forward([texts_tokens[i] for i in batch]))
            results.update(zip(batch, function(batch, states), strict=True))

        for _ in self._threads.map(run, self._batches(texts_tokens)):
            pass  # only to wait, and to raise what a batch raised
        return [results[i] for i in range(len(texts))]

    def close(self) -> None:
        """End the threads. Batches that are running are waited for."""
        self._threads.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tokenize(self, texts: Sequence[str]) -> list[_Tokens]:
        # A lone surrogate is no character: the tokenizer refuses it, and one replacement character keeps the offsets.
        clean = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
        encodings = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [_Tokens(e.ids, np.array(e.offsets, np.int32).reshape(-1, 2)) for e in encodings]

    def _batches(self, texts: Sequence[_Tokens]) -> Iterator[list[int]]:
        """Indices of texts of similar length whose tokens fit `batch_tokens`; the longest first, so that the replicas
        finish together. A text of several windows is a batch of its own."""
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i].ids), reverse=True)
        batch: list[int] = []
        for index in by_length:
            longest = len(texts[batch[0]].ids) if batch else 0
            if batch and (longest > self._room or (len(batch) + 1) * self._padded(longest) > self.batch_tokens):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _forward(self, texts: Sequence[_Tokens]) -> Iterator[TokenStates]:
        """The states of either several texts of one window each, or one text of any number of windows."""
        if len(texts) > 1 or len(texts[0].ids) <= self._room:
            hidden = self._hidden([text.ids for text in texts])
            for row, text in zip(hidden, texts, strict=True):
                used = row[: self._padded(len(text.ids))]
                yield TokenStates(used.mean(axis=0), self._own(used), text.offsets)
            return
        ids, size = texts[0].ids, self._room
        windows = [ids[start : start + size] for start in range(0, len(ids), size)]
        at_once = max(1, self.batch_tokens // self._padded(size))
        rows: list[Vector] = []
        for start in range(0, len(windows), at_once):
            some = windows[start : start + at_once]
            hidden = self._hidden(some)
            rows += [row[: self._padded(len(window))].copy() for row, window in zip(hidden, some, strict=True)]
        states = np.concatenate([self._own(row) for row in rows])
        yield TokenStates(np.concatenate(rows).mean(axis=0), states, texts[0].offsets)

    def _hidden(self, windows: Sequence[list[int]]) -> Vector:
        """The last layer's states (n, longest window, d) of windows of token ids. Rows beyond a window mean nothing."""
        lengths = np.array([self._padded(len(window)) for window in windows], np.int32)
        ids = np.zeros((len(windows), lengths.max()), np.int32)
        for row, window in zip(ids, windows, strict=True):
            row[: self._padded(len(window))] = [*self._head, *window, *self._tail]
        views = (StorageView.from_array(array) for array in (ids, lengths))
        output = self._model.forward_batch(*views)
        return np.asarray(output.last_hidden_state, dtype=np.float32)

    def _padded(self, own: int) -> int:
        return own + len(self._head) + len(self._tail)

    def _own(self, row: Vector) -> Vector:
        return row[len(self._head) : len(row) - len(self._tail)]


def pool_spans(tokens: TokenStates, spans: Spans) -> Vector:
    """The L2-normalised mean state (k, d) of the tokens that touch each character span; zeros where none does."""
    pooled = np.zeros((len(spans), len(tokens.pooled)), np.float32)
    if not spans:
        return pooled
    starts, ends = zip(*spans, strict=True)
    firsts = np.searchsorted(tokens.offsets[:, 1], starts, side="right").tolist()
    lasts = np.searchsorted(tokens.offsets[:, 0], ends, side="left").tolist()
    for row, first, last in zip(pooled, firsts, lasts, strict=True):
        if first < last:
            np.add.reduce(
                tokens.states[first:last], axis=0, out=row
            )  # of its own length afterwards, so the sum will do
    return normalised(pooled)


def normalised(vectors: Vector) -> Vector:
    """`vectors` (n, d), each divided by its L2 norm; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    scaled: Vector = vectors / norms
    return scaled


def _token_id(tokenizer: Tokenizer, token: str) -> int:
    token_id = tokenizer.token_to_id(token)
    if token_id is None:
        raise PackError(f"the tokenizer has no token {token}; correct the recipe's encoder section and build again")
    return token_id


def _cpus() -> int:
    """The CPUs this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
