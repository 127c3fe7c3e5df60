"""The states of the frozen lower layers, computed once for all texts and kept in memory as bfloat16."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from workers.slm.bert import Bert
from workers.slm.train.finetune.network import Embeddings, Layer

BATCH_TOKENS = 4_096


@dataclass(frozen=True)
class Frozen:
    """`states` (tokens, d) of all texts one after the other; text i has `lengths[i]` of them from `starts[i]`."""

    states: Tensor
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    offsets: list[list[tuple[int, int]]]


def frozen_states(bert: Bert, frozen: int, tokenizer: Tokenizer, texts: Sequence[str], most_tokens: int) -> Frozen:
    """Run `texts`, cut to `most_tokens`, through the embeddings and the first `frozen` layers of `bert`."""
    tokenizer.enable_truncation(most_tokens)
    encodings = tokenizer.encode_batch(list(texts))
    lengths = np.array([len(e.ids) for e in encodings], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    states = torch.empty(int(lengths.sum()), bert.width, dtype=torch.bfloat16)
    embed = Embeddings(bert)
    layers = nn.ModuleList(Layer.of(bert, number, 0.0) for number in range(frozen)).eval()
    order = np.argsort(lengths, kind="stable").tolist()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        at = 0
        while at < len(order):
            rows = order[at : at + max(1, BATCH_TOKENS // int(lengths[order[at]]))]
            while len(rows) > 1 and len(rows) * lengths[rows[-1]] > 2 * BATCH_TOKENS:
                rows.pop()
            at += len(rows)
            ids = torch.zeros(len(rows), int(lengths[rows[-1]]), dtype=torch.long)
            for row, index in zip(ids, rows, strict=True):
                row[: lengths[index]] = torch.tensor(encodings[index].ids)
            mask = torch.arange(ids.shape[1])[None] < torch.from_numpy(lengths[rows])[:, None]
            x = embed(ids)
            for layer in layers:
                x = layer(x, mask[:, None, None, :])
            for row, index in zip(x, rows, strict=True):
                states[starts[index] : starts[index] + lengths[index]] = row[: lengths[index]]
    return Frozen(states, starts, lengths, [e.offsets for e in encodings])


def padded(texts: Frozen, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The states (n, t, d) of some texts, zeros behind the shorter ones, and the mask (n, t) of their tokens."""
    lengths = texts.lengths[list(rows)]
    states = torch.zeros(len(rows), int(lengths.max()), texts.states.shape[1], dtype=texts.states.dtype)
    for row, start, length in zip(states, texts.starts[list(rows)].tolist(), lengths.tolist(), strict=True):
        row[:length] = texts.states[start : start + length]
    mask = torch.arange(states.shape[1])[None] < torch.from_numpy(lengths)[:, None]
    return states, mask
