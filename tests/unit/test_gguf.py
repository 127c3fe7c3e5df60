"""A GGUF file is read whole or refused, and the Llama in it speaks through CTranslate2 as the formulas say."""

import struct
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from tests.reference.small_llama import ENTRIES, TOKENS, gguf_bytes, logits, plain, small_tensors
from workers.slm.ct2_llama import gguf_tokenizer, write_decoder
from workers.slm.errors import PackError
from workers.slm.gguf import Gguf, read_gguf


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def small(path: Path) -> Gguf:
    return read_gguf(written(path / "small.gguf", gguf_bytes(ENTRIES, plain(small_tensors()))))


def test_entries_and_float_tensors_come_back_as_they_were_written(tmp_path: Path) -> None:
    found = small(tmp_path)
    assert found.entries["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert {key: found.entries[key] for key in ENTRIES if "epsilon" not in key} == {
        key: value for key, value in ENTRIES.items() if "epsilon" not in key
    }
    expected = small_tensors()
    assert found.tensors.keys() == expected.keys()
    assert all(np.array_equal(found.tensors[name], tensor) for name, tensor in expected.items())


def test_quantized_blocks_are_decoded_as_ggml_defines_them(tmp_path: Path) -> None:
    """Q4_1: scale · nibble + least, the low nibbles first. Q8_0: scale · byte. Two blocks each, in two rows."""
    nibbles = bytes(low | high << 4 for low, high in zip(range(16), range(15, -1, -1), strict=True))
    q4 = struct.pack("<2e", 0.5, -2) + nibbles + struct.pack("<2e", 1, 0) + nibbles
    eights = struct.pack("<e32b", 0.25, *range(-16, 16)) + struct.pack("<e32b", 2, *range(32))
    halves = np.arange(4, dtype="<f2").tobytes()
    tensors = {"q4": (3, (2, 32), q4), "q8": (8, (2, 32), eights), "f16": (1, (2, 2), halves)}
    found = read_gguf(written(tmp_path / "q.gguf", gguf_bytes({"general.alignment": 32}, tensors))).tensors
    order = [*range(16), *range(15, -1, -1)]
    assert found["q4"].tolist() == [[0.5 * n - 2 for n in order], order]
    assert found["q8"].tolist() == [[0.25 * n for n in range(-16, 16)], [2 * n for n in range(32)]]
    assert found["f16"].tolist() == [[0, 1], [2, 3]]
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("cut", [3, 20, 400, -8])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, cut: int) -> None:
    data = gguf_bytes(ENTRIES, plain(small_tensors()))
    with pytest.raises(PackError, match="fetch it again"):
        read_gguf(written(tmp_path / "cut.gguf", data[:cut]))


def test_other_files_and_tensor_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="begins with"):
        read_gguf(written(tmp_path / "x.gguf", b"GGML" + bytes(60)))
    with pytest.raises(PackError, match="tensor type 14 is not one of 0, 1, 3, 8"):
        read_gguf(written(tmp_path / "k.gguf", gguf_bytes({}, {"w": (14, (32,), bytes(32))})))


def test_the_decoder_says_what_the_formulas_say(tmp_path: Path) -> None:
    write_decoder(small(tmp_path), tmp_path, "float32")
    ids = [1, 2, 5, 9, 3, 10, 7, 4, 6, 2]
    model = ctranslate2.Generator(str(tmp_path), intra_threads=1)
    found = np.asarray(model.forward_batch([[TOKENS[i] for i in ids]]))[0]
    np.testing.assert_allclose(found, logits(small_tensors(), ids), rtol=1e-3, atol=1e-3)


def test_the_tokenizer_cuts_digits_one_by_one_joins_by_merges_and_keeps_control_tokens(tmp_path: Path) -> None:
    tokenizer = gguf_tokenizer(small(tmp_path))
    assert tokenizer.encode("<|start|>ab ab12\nc a").tokens == ["<|start|>", "ab", "Ġab", "1", "2", "Ċ", "c", "Ġa"]
    assert tokenizer.decode(tokenizer.encode("ab ab12\nc a").ids) == "ab ab12\nc a"


def test_another_architecture_or_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="only llama can be written"):
        write_decoder(Gguf({**ENTRIES, "general.architecture": "bert"}, small_tensors()), tmp_path)
    with pytest.raises(PackError, match=r"only \('gpt2', 'smollm'\) can be rebuilt"):
        gguf_tokenizer(Gguf({**ENTRIES, "tokenizer.ggml.pre": "qwen2"}, {}))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = small_tensors()
    del tensors["blk.1.ffn_up.weight"]
    with pytest.raises(PackError, match=r"no 'blk\.1\.ffn_up\.weight'"):
        write_decoder(Gguf(ENTRIES, tensors), tmp_path)
