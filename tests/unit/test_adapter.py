"""A decoder's trained part is added to the base's matrices when a pack is built, exactly, or refused in one line."""

import hashlib
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import yaml

from tests.reference.small_llama import ENTRIES, TOKENS, Array, gguf_bytes, logits, plain, small_recipe, small_tensors
from workers.slm.adapter import AdapterCard, adapter_of, with_adapter
from workers.slm.build import build_pack, ensure_built
from workers.slm.errors import PackError
from workers.slm.gguf import Gguf
from workers.slm.packs import MODEL_DIR
from workers.slm.recipes import digest, load_recipe, shipped_recipes
from workers.slm.safetensors import read_safetensors, write_safetensors

RANK, ALPHA = 3, 6.0
TRAINED = ("blk.0.attn_q", "blk.0.attn_k", "blk.1.ffn_down")
DATA = gguf_bytes(ENTRIES, plain(small_tensors()))
BASE = hashlib.sha256(DATA).hexdigest()


def adapter(names: tuple[str, ...] = TRAINED, rank: int = RANK) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    found = {}
    for name in names:
        out, into = small_tensors()[f"{name}.weight"].shape
        found[f"{name}.a"] = (0.3 * rng.standard_normal((rank, into))).astype(np.float16)
        found[f"{name}.b"] = (0.3 * rng.standard_normal((out, rank))).astype(np.float16)
    return found


def summed() -> dict[str, Array]:
    """The base's tensors with alpha / rank times the product added, entry by entry."""
    tensors, stored = small_tensors(), adapter()
    for name in TRAINED:
        low, high = stored[f"{name}.a"].astype(np.float64), stored[f"{name}.b"].astype(np.float64)
        product = np.einsum("or,ri->oi", high, low)
        tensors[f"{name}.weight"] = (tensors[f"{name}.weight"] + ALPHA / RANK * product).astype(np.float32)
    return tensors


def recipe(folder: Path, stored: dict[str, Any] | None = None, **card: Any) -> str:
    """A recipe of the small base and of an adapter with its card, in `folder`."""
    (folder / "small.gguf").write_bytes(DATA)
    write_safetensors(folder / "small.safetensors", stored if stored is not None else adapter())
    told = {
        "base_sha256": BASE,
        "rank": RANK,
        "alpha": ALPHA,
        "metrics": {"dev": {"passed": 0.5}},
        "limits": ["English"],
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(told | card))
    tasks = {"tasks": {"headline": {"system": "a b", "text_tokens": 16}}}
    made = small_recipe(folder, BASE, tasks, trained=str(folder / "small.safetensors"))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(made))
    return str(folder / "recipe.yaml")


def test_the_merged_matrices_are_the_sum_and_the_others_stay(tmp_path: Path) -> None:
    card = AdapterCard(base_sha256=BASE, rank=RANK, alpha=ALPHA)
    base = Gguf(ENTRIES, small_tensors())
    path = tmp_path / "a.safetensors"
    write_safetensors(path, adapter())
    merged, expected = with_adapter(base, path, card), summed()
    assert merged.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_allclose(merged.tensors[name], tensor, rtol=1e-5, atol=1e-6)
    assert all(np.array_equal(base.tensors[name], tensor) for name, tensor in small_tensors().items())
    assert {name for name in expected if not np.array_equal(merged.tensors[name], base.tensors[name])} == {
        f"{name}.weight" for name in TRAINED
    }


def test_a_pack_with_an_adapter_says_what_the_formulas_say_of_the_sum(tmp_path: Path) -> None:
    pack = build_pack(recipe(tmp_path), tmp_path / "packs", tmp_path / "cache")
    ids = [1, 2, 5, 9, 3, 10, 7, 4, 6, 2]
    model = ctranslate2.Generator(str(pack.path / MODEL_DIR), intra_threads=1)
    found = np.asarray(model.forward_batch([[TOKENS[i] for i in ids]]))[0]
    np.testing.assert_allclose(found, logits(summed(), ids), rtol=1e-3, atol=1e-3)
    assert np.abs(found - logits(small_tensors(), ids)).max() > 0.1


def test_the_card_says_what_was_merged_and_how_good_it_is(tmp_path: Path) -> None:
    pack = build_pack(recipe(tmp_path), tmp_path / "packs", tmp_path / "cache")
    assert pack.card.adapter == hashlib.sha256((tmp_path / "small.safetensors").read_bytes()).hexdigest()
    assert (pack.card.metrics, pack.card.limits) == ({"dev": {"passed": 0.5}}, ("English",))
    with pack.generator(1) as generator:
        assert generator.shape.tasks["headline"].system == "a b"


def test_another_adapter_makes_another_pack(tmp_path: Path) -> None:
    name = recipe(tmp_path)
    packs, cache = tmp_path / "packs", tmp_path / "cache"
    packs.mkdir()
    first, told = ensure_built(name, packs, cache).version, digest(load_recipe(name))
    assert ensure_built(name, packs, cache).version == first
    recipe(tmp_path, {each: tensor * 2 for each, tensor in adapter().items()})
    assert digest(load_recipe(name)) != told
    assert ensure_built(name, packs, cache).version != first


@pytest.mark.parametrize(
    ("stored", "card", "why"),
    [
        (
            adapter(rank=2),
            {},
            r"has blk\.\d\.\w+ in \(2, \d+\) and \(\d+, 2\), but with rank 3 the base has a matrix of",
        ),
        ({"blk.9.attn_q.a": np.zeros((3, 32), "f2"), "blk.9.attn_q.b": np.zeros((32, 3), "f2")}, {}, "no such matrix"),
        ({"blk.0.attn_q.a": np.zeros((3, 32), "f2")}, {}, "do not come in pairs"),
        ({}, {}, "do not come in pairs"),
        (adapter(), {"base_sha256": "0" * 64}, r"trained on another base \(000000000000…\) than the recipe's"),
        (adapter(), {"alpha": 0}, r"small\.yaml cannot be read"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, stored: dict[str, Any], card: dict[str, Any], why: str
) -> None:
    with pytest.raises(PackError, match=why) as refused:
        build_pack(recipe(tmp_path, stored, **card), tmp_path / "packs", tmp_path / "cache")
    assert "\n" not in str(refused.value)
    assert "train it again: python -m workers.slm.train.generator" in str(refused.value)
    assert not (tmp_path / "packs" / "small-llama").exists()


def test_an_adapter_without_its_card_is_refused(tmp_path: Path) -> None:
    name = recipe(tmp_path)
    (tmp_path / "small.yaml").unlink()
    with pytest.raises(PackError, match=r"small\.yaml cannot be read"):
        build_pack(name, tmp_path / "packs", tmp_path / "cache")


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if load_recipe(name).trained_file.is_file()])
def test_a_shipped_adapter_is_small_and_of_its_recipes_base(name: str) -> None:
    recipe = load_recipe(name)
    card = adapter_of(recipe)
    if recipe.encoder is not None:
        assert card is None, "an encoder's trained part is no adapter"
        return
    assert card is not None
    assert (card.base_sha256, bool(card.data), bool(card.limits)) == (recipe.base.sha256["weights"], True, True)
    assert recipe.trained_file.stat().st_size <= 4_000_000
    assert {tensor.dtype for tensor in read_safetensors(recipe.trained_file).values()} == {np.dtype("<f2")}
    assert recipe.decoder is not None
    assert set(recipe.decoder.tasks) == {"headline", "digest"}
