"""A pack's trained part back into a training, which goes on from it: the files that the repository carries are enough."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from workers.slm.attention import PREFIX
from workers.slm.bert import Bert
from workers.slm.prune import with_tensors
from workers.slm.recipes import load_recipe
from workers.slm.safetensors import read_safetensors
from workers.slm.train.finetune.network import HEADS, Network
from workers.slm.trained import with_trained


def trained_of(name: str, base: Bert, keep: float) -> tuple[Bert, Mapping[str, Tensor]]:
    """The encoder of a recipe, its trained layers to the share of `keep` and the base's for the rest (Wortsman et al. 2022,
    "Robust fine-tuning of zero-shot models"), and the heads' weights by the network's names. Raises `PackError`."""
    recipe = load_recipe(name)
    tuned = with_trained(base, recipe.trained_file, recipe.layers)
    layers = [
        name
        for name in read_safetensors(recipe.trained_file)
        if name.startswith("encoder.layer.") and name in tuned.tensors
    ]
    mixed = {name: keep * tuned.tensors[name] + (1 - keep) * base.tensors[name] for name in layers}
    return with_tensors(tuned, mixed), _of_heads(recipe.heads_dir / "heads.safetensors", math.sqrt(base.width))


def checkpoint_of(name: str, base: Bert, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A pack's trained part as a checkpoint with the tensors of `like`. Raises `PackError`."""
    bert, heads = trained_of(name, base, 1.0)
    trained = 1 + max(int(tensor.split(".")[1]) for tensor in like if tensor.startswith("layers."))
    network = Network(bert, bert.layers - trained)
    network.load_state_dict(heads, strict=False)
    state = network.state_dict()
    return {tensor: state[tensor].clone() for tensor in like}


def _of_heads(file: Path, scale: float) -> dict[str, Tensor]:
    """What `export.head_tensors` wrote, as the network holds it."""
    stored = {name: torch.from_numpy(tensor.copy()).float() for name, tensor in read_safetensors(file).items()}
    found = {}
    for name in HEADS:
        found[f"heads.{name}.weight"] = stored[f"{name}.0.weight"] / scale
        found[f"heads.{name}.bias"] = stored[f"{name}.0.bias"]
    for name, tensor in stored.items():
        if name.startswith(PREFIX):
            own = name.removeprefix(PREFIX)
            found[f"aspects.{own}"] = tensor / scale if own == "query.weight" else tensor
    found["topic.weight"], found["topic.bias"] = stored["topic.weight"] / scale, stored["topic.bias"]
    return found
