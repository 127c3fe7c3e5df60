"""What merging a trained part into a base promises: the kept pieces' rows, the trained weights, and no misfit in silence."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.reference.small_e5s1 import PIECES, VOCABULARY, WIDTH, e5s1
from workers.slm.bert import Bert
from workers.slm.e5s1 import read_e5s1
from workers.slm.errors import PackError
from workers.slm.prune import WORDS, pieces_bitmap, pieces_of, with_layers, with_pieces, with_tensors
from workers.slm.trained import with_trained, write_trained

KEPT = np.array([0, 1, 2, 3, 4, 5, 8, 9])  # without "▁mun" and "do"
QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture
def base(tmp_path: Path) -> Bert:
    (tmp_path / "base.bin").write_bytes(e5s1())
    return read_e5s1(tmp_path / "base.bin")


def ids(bert: Bert, text: str) -> list[int]:
    found: list[int] = Tokenizer.from_str(json.dumps(bert.tokenizer)).encode(text).ids
    return found


def test_a_text_of_kept_pieces_has_the_same_vectors_as_before(base: Bert) -> None:
    small = with_pieces(base, KEPT)
    before = base.tensor(WORDS)[ids(base, "hola é")]
    assert np.array_equal(small.tensor(WORDS)[ids(small, "hola é")], before)
    assert small.tokens == tuple(PIECES[i] for i in KEPT)


def test_a_text_of_other_pieces_is_still_cut_into_known_ones(base: Bert) -> None:
    small = with_pieces(base, KEPT)
    assert max(ids(small, "hola mundo")) < len(KEPT)
    assert ids(small, "hola mundo")[0] == 0


def test_the_bitmap_gives_its_ids_back() -> None:
    assert pieces_of(pieces_bitmap(KEPT, VOCABULARY)).tolist() == KEPT.tolist()


@pytest.mark.parametrize("spoilt", [KEPT[1:], np.array([0, 1, 2, 3, 99])])
def test_pieces_of_another_vocabulary_are_refused(base: Bert, spoilt: np.ndarray) -> None:
    with pytest.raises(PackError, match="train the encoder again"):
        with_pieces(base, spoilt)


def test_more_layers_than_the_base_has_are_refused(base: Bert) -> None:
    assert with_layers(base, 1).layers == 1
    with pytest.raises(PackError, match="correct the recipe"):
        with_layers(base, 2)


def test_trained_weights_take_the_place_of_the_bases_within_an_eighth_bit(base: Bert, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    bias = np.linspace(-2, 2, WIDTH, dtype=np.float32)
    write_trained(tmp_path / "part", {f"{QUERY}.weight": weight, f"{QUERY}.bias": bias}, KEPT, VOCABULARY)
    merged = with_trained(base, tmp_path / "part", None)
    steps = np.abs(weight).max(axis=1, keepdims=True) / 127
    assert (np.abs(merged.tensor(f"{QUERY}.weight") - weight) <= steps / 2 + 1e-6).all()
    assert np.array_equal(merged.tensor(f"{QUERY}.bias"), bias)
    assert merged.tensor(WORDS).shape == (len(KEPT), WIDTH)
    other = "encoder.layer.0.output.dense.weight"
    assert np.array_equal(merged.tensor(other), base.tensor(other))


def test_storing_what_was_stored_loses_nothing_more(base: Bert, tmp_path: Path) -> None:
    weight = np.random.default_rng(2).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    for _ in range(2):
        write_trained(tmp_path / "part", {f"{QUERY}.weight": weight}, KEPT, VOCABULARY)
        before, weight = weight, with_trained(base, tmp_path / "part", None).tensor(f"{QUERY}.weight")
    assert np.allclose(weight, before, rtol=1e-6)


def test_a_tensor_of_another_shape_is_refused(base: Bert) -> None:
    with pytest.raises(PackError, match="not"):
        with_tensors(base, {f"{QUERY}.bias": np.zeros(WIDTH + 1, np.float32)})
