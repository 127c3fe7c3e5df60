"""The trained part of a decoder: a low-rank sum for some of its matrices, merged with numpy (LoRA, Hu et al. 2021).

A small safetensors file in float16 with `blk.N.NAME.a` (rank, in) and `blk.N.NAME.b` (out, rank), by GGUF's names and in its
order of rows. The card beside it says what it was made for, and what it was measured on.
"""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workers.slm.cards import card_of, check_base
from workers.slm.errors import PackError
from workers.slm.gguf import Gguf
from workers.slm.recipes import Recipe, Sha256
from workers.slm.safetensors import read_safetensors

TRAIN = "train it again: python -m workers.slm.train.generator"


class AdapterCard(BaseModel):
    """`base_sha256` is of the weights that it was trained on; a matrix W becomes W + alpha / rank · B A."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_sha256: Sha256
    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    metrics: dict[str, dict[str, float]] = {}
    data: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def adapter_of(recipe: Recipe) -> AdapterCard | None:
    """The card of the recipe's adapter, which is of the recipe's base; None when it has none. Raises `PackError`."""
    if recipe.decoder is None or not recipe.trained_file.is_file():
        return None
    card = card_of(recipe.adapter_card_file, AdapterCard, TRAIN)
    what = f"the adapter {recipe.trained_file} was trained"
    check_base(what, card.base_sha256, recipe.base.sha256["weights"], TRAIN)
    return card


def with_adapter(gguf: Gguf, file: Path, card: AdapterCard) -> Gguf:
    """The model with the adapter merged in. Raises `PackError` when it does not fit, matrix by matrix."""
    stored = read_safetensors(file)
    names = {name.rpartition(".")[0] for name in stored}
    if not names or stored.keys() != {f"{name}.{side}" for name in names for side in "ab"}:
        raise PackError(f"{file} is no adapter: its matrices do not come in pairs; {TRAIN}")
    merged = dict(gguf.tensors)
    for name in names:
        low, high, own = stored[f"{name}.a"], stored[f"{name}.b"], merged.get(f"{name}.weight")
        shapes = (low.shape, high.shape)
        if own is None or own.ndim != 2 or shapes != ((card.rank, own.shape[1]), (own.shape[0], card.rank)):
            wanted = "no such matrix" if own is None else f"a matrix of {own.shape}"
            raise PackError(
                f"the adapter {file} has {name} in {shapes[0]} and {shapes[1]}, but with rank {card.rank} the base has "
                f"{wanted} there; {TRAIN}"
            )
        merged[f"{name}.weight"] = own + np.float32(card.alpha / card.rank) * (
            high.astype(np.float32) @ low.astype(np.float32)
        )
    return Gguf(gguf.entries, merged)
