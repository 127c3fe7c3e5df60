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
from transformers import BertConfig, BertModel

from tests.reference.texts import TEXTS
from workers.slm.bert import Bert
from workers.slm.checkpoint import read_checkpoint
from workers.slm.e5s1 import read_e5s1

DATA = Path(__file__).parents[1] / "data"
BASES = {
    "e5-small-multilingual": (
        "query: ",
        {"weights": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
    ),
    "minilm-l6-english": (
        "",
        {
            "weights": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "config": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
    ),
}


def reference_vectors(bert: Bert, prefix: str) -> np.ndarray:
    """Mean-pooled, L2-normalised float32 embeddings (n, d) of TEXTS, one text at a time: no padding, no batching."""
    model = _model(bert)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    vectors = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer.encode(prefix + text).ids])
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        vectors.append(torch.nn.functional.normalize(states.mean(dim=0), dim=0).numpy())
    return np.stack(vectors)


def read_base(pack: str, cache_dir: Path) -> tuple[Bert, str]:
    """The base of `pack` as its build left it in the cache, and the prefix of its texts."""
    prefix, hashes = BASES[pack]
    files = {role: cache_dir / "bases" / f"{sha256}-{role}" for role, sha256 in hashes.items()}
    return (read_checkpoint(**files) if "config" in files else read_e5s1(files["weights"])), prefix


def _model(bert: Bert) -> BertModel:
    words, width = bert.tensor("embeddings.word_embeddings.weight").shape
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=bert.layers,
        num_attention_heads=bert.heads,
        intermediate_size=bert.tensor("encoder.layer.0.intermediate.dense.weight").shape[0],
        max_position_embeddings=bert.tensor("embeddings.position_embeddings.weight").shape[0],
        type_vocab_size=bert.tensor("embeddings.token_type_embeddings.weight").shape[0],
        layer_norm_eps=bert.layer_norm_epsilon,
        hidden_act="gelu",
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    weights = {
        name: torch.from_numpy(np.array(tensor)) for name, tensor in bert.tensors.items() if "pooler" not in name
    }
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if missing or unexpected:
        raise SystemExit(f"the base does not fit BertModel: missing {missing}, unexpected {unexpected}")
    return model


if __name__ == "__main__":
    for pack in BASES:
        vectors = reference_vectors(*read_base(pack, Path(sys.argv[1])))
        np.savez_compressed(DATA / f"reference_vectors_{pack}.npz", vectors=vectors.astype(np.float32))
