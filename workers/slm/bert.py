"""The weights of a BERT encoder, by the names that PyTorch checkpoints use, whatever file they came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.errors import PackError

Tensor = NDArray[np.float32]


@dataclass(frozen=True)
class Bert:
    """One encoder: its tensors, and its tokenizer as the JSON document of the `tokenizers` library.

    `tensors` has the names of Hugging Face's BertModel without a leading "bert."; matrices are (out, in).
    """

    tensors: Mapping[str, Tensor]
    layers: int
    heads: int
    layer_norm_epsilon: float
    tokenizer: Mapping[str, Any]
    tokens: tuple[str, ...]
    unknown_token: str

    def tensor(self, name: str, *shape: int) -> Tensor:
        """The tensor `name`, which must have `shape` when one is given. Raises `PackError`."""
        if name not in self.tensors:
            raise PackError(f"the base has no tensor {name}: it is not a BERT encoder; correct the recipe's format")
        tensor = self.tensors[name]
        if shape and tensor.shape != shape:
            raise PackError(f"tensor {name} is {tensor.shape}, not {shape}; correct the recipe's base")
        return tensor

    @property
    def width(self) -> int:
        return int(self.tensor("embeddings.word_embeddings.weight").shape[1])
