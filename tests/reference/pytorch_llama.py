"""What PyTorch, Hugging Face's Llama and peft make of a generator's base with its adapter beside it: a reference for packs.

Where they are installed (`pip install -e '.[train-generator]'`), `python -m tests.reference.pytorch_llama PACKS_CACHE`
writes tests/data/reference_logits_*.npz anew from the bases that building the packs left in the cache.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tests.reference.texts import BEGINNINGS, WORDS
from workers.slm.adapter import adapter_of
from workers.slm.ct2_llama import gguf_tokenizer
from workers.slm.gguf import read_gguf
from workers.slm.recipes import Recipe, load_recipe
from workers.slm.safetensors import read_safetensors
from workers.slm.train.generator.network import MATRICES, LowRank, halves, heads_of, llama, set_weights, with_low_rank

DATA = Path(__file__).parents[1] / "data"
PACKS = ("smollm2-135m-instruct", "smollm2-135m-voxpop")


def reference_logits(recipe: Recipe, cache_dir: Path, texts: Sequence[str] = BEGINNINGS) -> np.ndarray:
    """What the model would go on with after each of the texts: logits (texts, words) of `WORDS`, in float32."""
    gguf = read_gguf(cache_dir / "bases" / f"{recipe.base.sha256['weights']}-weights")
    model, card = llama(gguf), adapter_of(recipe)
    if card is not None:
        stored = read_safetensors(recipe.trained_file)
        layers = {int(name.split(".")[1]) for name in stored}
        model = with_low_rank(model, LowRank(card.rank, card.alpha, min(layers), 0.0))
        weights = {}
        for name, values in stored.items():
            _, layer, matrix, side = name.split(".")
            rows = halves(values, heads_of(gguf, matrix)) if side == "b" else values
            place = f"base_model.model.model.layers.{layer}.{MATRICES[matrix]}.lora_{side.upper()}.default.weight"
            weights[place] = torch.from_numpy(rows.astype(np.float32))
        set_weights(model, weights)
    model.eval()
    tokenizer, found = gguf_tokenizer(gguf), []
    for text in texts:
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])).logits[0, -1]
        found.append(logits.numpy()[WORDS])
    return np.stack(found).astype(np.float32)


if __name__ == "__main__":
    for pack in PACKS:
        np.savez_compressed(
            DATA / f"reference_logits_{pack}.npz", logits=reference_logits(load_recipe(pack), Path(sys.argv[1]))
        )
