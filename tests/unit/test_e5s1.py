"""What a reader of E5S1 promises: the numbers of a file written by hand, byte for byte, and a clear word for a bad one."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.reference.small_e5s1 import HEADS, LAYERS, PIECES, POSITIONS, TYPES, VOCABULARY, WIDTH, e5s1, tensors
from workers.slm.e5s1 import read_e5s1
from workers.slm.errors import PackError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.bin"
    path.write_bytes(e5s1())
    return path


def test_four_bit_weights_are_decoded_exactly(file: Path) -> None:
    bert = read_e5s1(file)
    expected = tensors()
    np.testing.assert_array_equal(bert.tensors["embeddings.word_embeddings.weight"], expected["emb.word"][3])
    np.testing.assert_array_equal(bert.tensors["encoder.layer.0.intermediate.dense.weight"], expected["l0.fi.w"][3])
    np.testing.assert_array_equal(bert.tensors["encoder.layer.0.output.dense.weight"], expected["l0.fo.w"][3])


def test_every_tensor_gets_its_checkpoint_name_and_shape(file: Path) -> None:
    bert = read_e5s1(file)
    assert len(bert.tensors) == len(tensors())
    assert bert.tensors["embeddings.position_embeddings.weight"].shape == (POSITIONS, WIDTH)
    assert bert.tensors["embeddings.token_type_embeddings.weight"].shape == (TYPES, WIDTH)
    assert bert.tensors["encoder.layer.0.attention.output.LayerNorm.weight"].shape == (WIDTH,)
    assert bert.tensors["encoder.layer.0.output.LayerNorm.bias"].shape == (WIDTH,)
    assert (bert.layers, bert.heads, bert.layer_norm_epsilon) == (LAYERS, HEADS, 1e-12)


def test_the_vocabulary_is_filled_up_to_the_models_size(file: Path) -> None:
    bert = read_e5s1(file)
    assert bert.tokens[: len(PIECES)] == tuple(PIECES)
    assert len(bert.tokens) == VOCABULARY
    assert bert.unknown_token == "<unk>"


def test_the_tokenizer_takes_the_likeliest_pieces_and_says_where_they_stand(file: Path) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(read_e5s1(file).tokenizer))
    encoding = tokenizer.encode("hola  mundo")
    assert encoding.tokens == ["<s>", "▁ho", "la", "▁mun", "do", "</s>"]
    assert encoding.offsets[1:-1] == [(0, 2), (2, 4), (6, 9), (9, 11)]


def test_texts_are_normalised_as_sentencepiece_does(file: Path) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(read_e5s1(file).tokenizer))
    plain = tokenizer.encode("hola mundo").ids
    for variant in ("hola\nmundo", "hola\u200bmundo", " hola\tmundo ", "ho\x01la mundo", "ｈｏｌａ mundo"):
        assert tokenizer.encode(variant).ids == plain, repr(variant)
    assert tokenizer.encode("e\u0301").ids == tokenizer.encode("é").ids


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (e5s1(magic=b"GGUF"), "E5S1"),
        (e5s1(block=64), "blocks of 64"),
        (e5s1()[:60], "ends too early"),
        (e5s1()[:-41], "ends after the file"),
        (b"", "E5S1|ends too early"),
    ],
)
def test_a_file_that_is_not_whole_or_not_ours_is_refused_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(PackError, match=said) as caught:
        read_e5s1(path)
    assert "\n" not in str(caught.value)
