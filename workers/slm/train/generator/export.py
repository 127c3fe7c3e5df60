"""`python -m workers.slm.train.generator.export --folder DIR`: makes the adapter of what was trained, for the repository.

It writes the matrices in float16 and the card beside them; what the card says of metrics, data and limits stays.
"""

import argparse
import json
from pathlib import Path

import torch
import yaml

from workers.settings import load_settings
from workers.slm.adapter import TRAIN, AdapterCard
from workers.slm.cards import card_of
from workers.slm.gguf import read_gguf
from workers.slm.recipes import load_recipe
from workers.slm.safetensors import write_safetensors
from workers.slm.sources import fetch_base
from workers.slm.train.generator.network import LowRank, llama, set_weights, trained_matrices, with_low_rank


def main() -> None:
    """Writes the adapter and its card."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.generator.export", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints are")
    parser.add_argument("--checkpoint", default="best.pt")
    parser.add_argument("--recipe", default="smollm2-135m-voxpop")
    arguments = parser.parse_args()
    recipe, settings = load_recipe(arguments.recipe), load_settings()
    gguf = read_gguf(fetch_base(recipe.base, settings.cache_dir, settings.model.base_source, print)["weights"])
    plan = LowRank(**json.loads((arguments.folder / "low_rank.json").read_text()))
    model = with_low_rank(llama(gguf), plan)
    set_weights(model, torch.load(arguments.folder / arguments.checkpoint, weights_only=True))
    write_safetensors(recipe.trained_file, trained_matrices(model, gguf))
    made = {"base_sha256": recipe.base.sha256["weights"], "rank": plan.rank, "alpha": plan.alpha}
    file = recipe.adapter_card_file
    told = card_of(file, AdapterCard, TRAIN).model_dump(mode="json") if file.is_file() else {}
    card = AdapterCard.model_validate(told | made).model_dump(mode="json")
    file.write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    print(f"{recipe.trained_file}: {recipe.trained_file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
