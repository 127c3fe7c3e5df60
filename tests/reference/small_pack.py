"""A whole pack of a few kilobytes, built by the real builder from a recipe written for the occasion."""

import hashlib
from pathlib import Path

import numpy as np
import yaml

from tests.reference.small_e5s1 import WIDTH, e5s1
from workers.slm.build import ensure_pack
from workers.slm.packs import Pack
from workers.slm.safetensors import write_safetensors


def write_recipe(directory: Path, **changes: object) -> str:
    """The path of a recipe for a pack `small` with a head for sentiment, its base and heads beside it in `directory`."""
    base = directory / "base.bin"
    if not base.exists():
        base.write_bytes(e5s1())
    sha256 = hashlib.sha256(e5s1()).hexdigest()
    heads = directory / "heads"
    heads.mkdir(exist_ok=True)
    zeros = {"sentiment.0.weight": np.zeros((3, WIDTH), np.float32), "sentiment.0.bias": np.zeros(3, np.float32)}
    write_safetensors(heads / "heads.safetensors", zeros)
    head = {"kind": "softmax", "labels": ["negative", "neutral", "positive"]}
    card = {"base_sha256": sha256, "licence": "MIT", "date": "2026-01-01", "data": [], "heads": {"sentiment": head}}
    (heads / "card.yaml").write_text(yaml.safe_dump(card))
    document: dict[str, object] = {
        "name": "small",
        "version": "1",
        "date": "2026-01-01",
        "description": "For tests.",
        "licence": "MIT",
        "languages": ["en"],
        "base": {
            "name": "small",
            "licence": "MIT",
            "format": "e5s1",
            "sha256": {"weights": sha256},
            "sources": [{"kind": "directory", "path": str(directory), "members": {"weights": "base.bin"}}],
        },
        "encoder": {"window_tokens": 16, "start_token": "<s>", "end_token": "</s>"},
        "heads": str(heads),
    }
    file = directory / "small.yaml"
    file.write_text(yaml.safe_dump(document | changes))
    return str(file)


def small_pack(directory: Path) -> Pack:
    """The pack, built in directory / "packs"."""
    return ensure_pack(write_recipe(directory), directory / "packs", directory / "cache")
