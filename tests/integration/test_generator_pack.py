"""The generators that are shipped say what the reference implementation says, the adapter merged in or beside."""

from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from tests.reference.texts import BEGINNINGS, WORDS
from workers.settings import load_settings
from workers.slm.build import build_pack, ensure_pack
from workers.slm.packs import MODEL_DIR, Pack
from workers.slm.recipes import load_recipe

DATA = Path(__file__).parents[1] / "data"
# Eight bits cost most where the model is least at home: the last of the texts is in two languages that it does not know.
FLOORS = np.array([0.98, 0.98, 0.92])
PACKS = ("smollm2-135m-instruct", "smollm2-135m-voxpop")


@pytest.fixture(params=PACKS)
def name(request: pytest.FixtureRequest) -> str:
    """Of a generator whose base is in the cache."""
    name: str = request.param
    cached = load_settings().cache_dir / "bases" / f"{load_recipe(name).base.sha256['weights']}-weights"
    if not cached.is_file():
        pytest.skip(f"the base of {name} (93 MB to fetch) is not here; it is after: voxpop packs build {name}")
    return name


def reference(name: str) -> np.ndarray:
    logits: np.ndarray = np.load(DATA / f"reference_logits_{name}.npz")["logits"]
    return logits


def logits(pack: Pack) -> np.ndarray:
    model = ctranslate2.Generator(str(pack.path / MODEL_DIR), intra_threads=1)
    with pack.generator(1) as generator:
        tokens = [generator.tokens(text) for text in BEGINNINGS]
    return np.stack([np.asarray(model.forward_batch([each]))[0, -1, WORDS] for each in tokens])


def agreement(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Of each text's logits, the correlation."""
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(found, expected, strict=True)])


def test_the_int8_pack_agrees_with_pytorch_and_peft(name: str) -> None:
    settings = load_settings()
    pack = ensure_pack(name, settings.packs_dir, settings.cache_dir)
    assert (agreement(logits(pack), reference(name)) >= FLOORS).all()


def test_the_float32_pack_gives_their_numbers(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    changes = {"name": "exact", "quantization": "float32", "trained": recipe.trained_file}
    (tmp_path / "exact.yaml").write_text(recipe.model_copy(update=changes).model_dump_json())
    (tmp_path / "packs").mkdir()
    pack = build_pack(str(tmp_path / "exact.yaml"), tmp_path / "packs", load_settings().cache_dir)
    np.testing.assert_allclose(logits(pack), reference(name), atol=2e-2)


def test_the_adapter_changes_what_is_said() -> None:
    assert agreement(reference(PACKS[0]), reference(PACKS[1])).min() < 0.98


def test_the_stored_logits_are_what_pytorch_and_peft_give(name: str) -> None:
    for needed in ("torch", "transformers", "peft"):
        pytest.importorskip(needed, reason=f"{needed} is not installed: the stored logits stand for it")
    from tests.reference import pytorch_llama

    live = pytorch_llama.reference_logits(load_recipe(name), load_settings().cache_dir)
    np.testing.assert_allclose(live, reference(name), atol=1e-2)
