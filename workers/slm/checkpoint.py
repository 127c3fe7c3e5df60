"""Reads a BERT encoder as the Hugging Face hub keeps it: model.safetensors, tokenizer.json, config.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workers.slm.bert import Bert
from workers.slm.errors import PackError
from workers.slm.safetensors import read_safetensors


def read_checkpoint(weights: Path, tokenizer: Path, config: Path) -> Bert:
    """The encoder of a checkpoint's three files, in float32. Raises `PackError` when it is no plain BERT."""
    settings = _json(config)
    if settings.get("model_type") != "bert" or settings.get("position_embedding_type", "absolute") != "absolute":
        raise PackError(f"{config} is not of a BERT with absolute positions; take another base")
    if settings.get("hidden_act") != "gelu":
        raise PackError(
            f"{config} names the activation {settings.get('hidden_act')}, only gelu is known; take another base"
        )
    tensors = {name.removeprefix("bert."): tensor for name, tensor in read_safetensors(weights).items()}
    document = _json(tokenizer)
    vocabulary = document["model"]["vocab"]
    return Bert(
        tensors={name: tensor.astype(np.float32) for name, tensor in tensors.items() if tensor.dtype.kind == "f"},
        layers=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"],
        layer_norm_epsilon=settings["layer_norm_eps"],
        # Windows are cut and padded by the encoder, not by the tokenizer.
        tokenizer=document | {"truncation": None, "padding": None},
        tokens=tuple(sorted(vocabulary, key=vocabulary.__getitem__)),
        unknown_token=document["model"]["unk_token"],
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"{path} is not a JSON file ({error}); fetch the base again") from error
    if not isinstance(document, dict):
        raise PackError(f"{path} is not a JSON object; fetch the base again")
    return document
