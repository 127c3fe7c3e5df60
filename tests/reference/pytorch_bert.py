"""What PyTorch and Hugging Face's BertModel make of the same weights and token ids: the reference for our encoders.

Where both are installed, `python -m tests.reference.pytorch_bert PACKS_CACHE` writes tests/data/reference_vectors_*.npz
anew from the bases that building the packs left in the cache.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from tests.reference.texts import TEXTS
from workers.bench.torch_engine import bert_model
from workers.slm.bert import Bert
from workers.slm.build import read_encoder
from workers.slm.recipes import load_recipe

DATA = Path(__file__).parents[1] / "data"
PACKS = ("e5-small-multilingual", "minilm-l6-english")


def reference_vectors(bert: Bert, prefix: str) -> np.ndarray:
    """Mean-pooled, L2-normalised float32 embeddings (n, d) of TEXTS, one text at a time: no padding, no batching."""
    model = bert_model(bert)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    vectors = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode(prefix + text).ids])
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(states.mean(dim=0), dim=0).numpy())
    return np.stack(vectors)


def read_pack(pack: str, cache_dir: Path) -> tuple[Bert, str]:
    """The encoder of `pack` from the base that its build left in the cache, and the prefix of its texts."""
    recipe = load_recipe(pack)
    files = {role: cache_dir / "bases" / f"{sha256}-{role}" for role, sha256 in recipe.base.sha256.items()}
    return read_encoder(recipe, files), recipe.encoder.prefix


if __name__ == "__main__":
    for pack in PACKS:
        vectors = reference_vectors(*read_pack(pack, Path(sys.argv[1])))
        np.savez_compressed(DATA / f"reference_vectors_{pack}.npz", vectors=vectors.astype(np.float32))
