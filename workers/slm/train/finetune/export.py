"""`python -m workers.slm.train.finetune.export`: a checkpoint into the files that the repository carries.

Writes the encoder's trained part and the heads' tensors, with a card that still lacks what only dev sets can tell:
`python -m workers.slm.train.calibrate` fits temperatures and thresholds on the built pack and fills the card.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from workers.slm.attention import PREFIX
from workers.slm.bert import Bert
from workers.slm.e5s1 import read_e5s1
from workers.slm.prune import pieces_of
from workers.slm.recipes import Recipe, load_recipe
from workers.slm.safetensors import read_safetensors, write_safetensors
from workers.slm.train.finetune.network import HEADS, layer_names
from workers.slm.train.finetune.samples import EMOTIONS, INTENTS, SENTIMENTS
from workers.slm.trained import PIECES, write_trained

LABELS = {
    "sentiment": SENTIMENTS,
    "intents": INTENTS,
    "urgency": ("urgent",),
    "emotion": EMOTIONS,
    "toxicity": ("toxic",),
    "irony": ("irony",),
}
Weights = Mapping[str, NDArray[np.float32]]


def main() -> None:
    """Writes workers/slm/trained/<pack>.safetensors and workers/slm/heads/<pack>/."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune.export", description=main.__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt of the training")
    parser.add_argument("--base", type=Path, required=True, help="the E5S1 file")
    parser.add_argument(
        "--pieces", type=Path, help="the kept pieces' ids, a .npy; left out, those of the pack as it is"
    )
    parser.add_argument("--pack", default="e5-small-multilingual", help="a recipe's name or file")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.pack)
    saved = torch.load(arguments.checkpoint, weights_only=True)
    weights = {name: tensor.float().numpy() for name, tensor in saved.items()}
    bert = read_e5s1(arguments.base)
    recipe.trained_file.parent.mkdir(parents=True, exist_ok=True)
    encoder = encoder_tensors(weights, (recipe.layers or bert.layers) - _trained_layers(weights))
    pieces = np.load(arguments.pieces) if arguments.pieces else pieces_of(read_safetensors(recipe.trained_file)[PIECES])
    write_trained(recipe.trained_file, encoder, pieces, len(bert.tokens))
    recipe.heads_dir.mkdir(parents=True, exist_ok=True)
    write_safetensors(recipe.heads_dir / "heads.safetensors", head_tensors(weights, bert))
    card = yaml.safe_dump(_card(recipe, weights), sort_keys=False, allow_unicode=True, width=120)
    (recipe.heads_dir / "card.yaml").write_text(card, encoding="utf-8")


def encoder_tensors(weights: Weights, frozen: int) -> dict[str, NDArray[np.float32]]:
    """The trained layers, the first of which is layer `frozen` of the encoder, by the checkpoint's names."""
    found: dict[str, NDArray[np.float32]] = {}
    for number in range(_trained_layers(weights)):
        for own, theirs in layer_names(frozen + number).items():
            parts = np.split(weights[f"layers.{number}.{own}"], len(theirs))
            found |= dict(zip(theirs, parts, strict=True))
    return found


def head_tensors(weights: Weights, bert: Bert) -> dict[str, NDArray[np.float32]]:
    """The heads as packs hold them: they take normalised embeddings, so the length that training gave these goes into
    the weights."""
    scale = np.float32(math.sqrt(bert.width))
    found = {}
    for name in HEADS:
        found[f"{name}.0.weight"] = weights[f"heads.{name}.weight"] * scale
        found[f"{name}.0.bias"] = weights[f"heads.{name}.bias"]
    for name, tensor in weights.items():
        if name.startswith("aspects."):
            found[PREFIX + name.removeprefix("aspects.")] = tensor
    found[f"{PREFIX}query.weight"] = found[f"{PREFIX}query.weight"] * scale
    found["topic.weight"], found["topic.bias"] = weights["topic.weight"] * scale, weights["topic.bias"]
    return found


def _trained_layers(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))


def _card(recipe: Recipe, weights: Weights) -> dict[str, object]:
    soft = ("sentiment", "emotion")
    heads = {n: {"kind": "softmax" if n in soft else "sigmoid", "labels": list(LABELS[n])} for n in HEADS}
    return {
        "base_sha256": recipe.base.sha256["weights"],
        "licence": "Apache-2.0",
        "date": recipe.date,
        "data": [],
        "heads": heads,
        "attention": {"heads": len(weights["aspects.nothing"])},
    }


if __name__ == "__main__":
    main()
