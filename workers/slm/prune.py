"""Cuts a BERT encoder down: fewer pieces of vocabulary, fewer layers, other weights in some of them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workers.slm.bert import Bert, Tensor
from workers.slm.errors import PackError

WORDS = "embeddings.word_embeddings.weight"


def pieces_bitmap(ids: NDArray[np.int64], vocabulary: int) -> NDArray[np.uint8]:
    """`ids` of pieces as one bit a piece of the whole vocabulary, (vocabulary / 8 rounded up,)."""
    bits = np.zeros(vocabulary, np.uint8)
    bits[ids] = 1
    return np.packbits(bits)


def pieces_of(bitmap: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The ids whose bit is set, ascending."""
    return np.flatnonzero(np.unpackbits(bitmap))


def with_pieces(bert: Bert, ids: NDArray[np.int64]) -> Bert:
    """The encoder with only the pieces `ids` (ascending) of its unigram vocabulary, numbered anew in that order.

    Raises `PackError` when a special token is not among them or would change its id.
    """
    vocabulary = bert.tokenizer["model"]["vocab"]
    specials = sorted(token["id"] for token in bert.tokenizer["added_tokens"])
    if ids[-1] >= len(vocabulary) or ids[: len(specials)].tolist() != specials:
        raise PackError("the kept pieces are not of this base's vocabulary; train the encoder again")
    model = {**bert.tokenizer["model"], "vocab": [vocabulary[i] for i in ids.tolist()]}
    tensors = {**bert.tensors, WORDS: bert.tensor(WORDS)[ids]}
    tokens = tuple(bert.tokens[i] for i in ids.tolist())
    return replace(bert, tensors=tensors, tokens=tokens, tokenizer={**bert.tokenizer, "model": model})


def with_layers(bert: Bert, layers: int) -> Bert:
    """The encoder with its first `layers` layers. Raises `PackError` when it has fewer."""
    if layers > bert.layers:
        raise PackError(f"the base has {bert.layers} layers, the recipe keeps {layers}; correct the recipe")
    return replace(bert, layers=layers)


def with_tensors(bert: Bert, tensors: Mapping[str, Tensor]) -> Bert:
    """The encoder with `tensors` in the place of those of the same names. Raises `PackError` when one does not fit."""
    for name, tensor in tensors.items():
        bert.tensor(name, *tensor.shape)
    return replace(bert, tensors={**bert.tensors, **tensors})
