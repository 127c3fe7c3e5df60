"""Reads E5S1, the one-file form of multilingual-e5-small: Q4_0 weights and a SentencePiece unigram vocabulary.

Little-endian, in this order: magic `E5S1`, u32 version; i32 width, layers, heads, inner width, vocabulary, positions,
types; f32 layer-norm epsilon; i32 block size. Then the tokenizer: i32 pieces, ids of <s>, </s>, <pad>, <unk>, u64 bytes
of text; u32 offsets (pieces + 1); f32 scores; the text; and a map of code points, which is skipped here: it is
SentencePiece's nmt_nfkc, written below as NFKC plus two classes of characters. Then i32 tensors, each u16 name length,
name, u8 type, u32 count, u64 offset from the file's start, u64 bytes.
"""

import re
import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.slm.bert import Bert, Tensor
from workers.slm.errors import PackError

MAGIC = b"E5S1"
BLOCK = 32  # weights that share one scale
Q4_0 = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])

# What SentencePiece's nmt_nfkc drops, and what it takes for a space beyond NFKC.
DROPPED = "[\x00-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
SPACES = "[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"

TENSOR_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class _Cursor:
    """Reads forward through the bytes of a file. Raises `PackError` when they end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, layout: str) -> tuple[Any, ...]:
        try:
            values = struct.unpack_from("<" + layout, self.data, self.at)
        except struct.error as error:
            raise PackError("the E5S1 file ends too early; delete it from the cache and build again") from error
        self.at += struct.calcsize("<" + layout)
        return values

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise PackError("the E5S1 file ends too early; delete it from the cache and build again")
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken


def read_e5s1(path: Path) -> Bert:
    """The encoder in `path`, its weights decoded to float32. Raises `PackError` when it is not such a file."""
    cursor = _Cursor(path.read_bytes())
    if cursor.take(4) != MAGIC:
        raise PackError(f"{path} does not begin with E5S1; correct the recipe's base")
    _version, width, layers, heads, inner, vocabulary, positions, types = cursor.unpack("I7i")
    epsilon, block = cursor.unpack("fi")
    if block != BLOCK:
        raise PackError(f"{path} has blocks of {block} weights, this reader knows {BLOCK}; correct the recipe's base")
    pieces, scores, specials = _read_vocabulary(cursor)
    shapes = {"emb.word": (vocabulary, width), "emb.pos": (positions, width), "emb.type": (types, width)}
    shapes |= {"fi.w": (inner, width), "fo.w": (width, inner)}
    shapes |= dict.fromkeys(("q.w", "k.w", "v.w", "ao.w"), (width, width))
    missing = [f"<extra_id_{n}>" for n in range(vocabulary - len(pieces))]
    return Bert(
        tensors=_read_tensors(cursor, shapes),
        layers=layers,
        heads=heads,
        layer_norm_epsilon=round(float(epsilon), 15),
        tokenizer=_unigram(pieces, scores, specials),
        tokens=(*pieces, *missing),
        unknown_token=pieces[specials["unk"]],
    )


def _read_vocabulary(cursor: _Cursor) -> tuple[list[str], list[float], dict[str, int]]:
    """Pieces, their log-probabilities, and the ids of the special ones."""
    count, bos, eos, pad, unk, text_bytes = cursor.unpack("5iQ")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4").tolist()
    # As decimal text of float32: the shortest that reads back the same, on every machine.
    scores = [float(str(score)) for score in np.frombuffer(cursor.take(4 * count), "<f4")]
    text = cursor.take(text_bytes)
    pieces = [text[start:end].decode("utf-8") for start, end in pairwise(offsets)]
    _rules, rule_bytes = cursor.unpack("iI")
    cursor.take(rule_bytes)
    return pieces, scores, {"bos": bos, "eos": eos, "pad": pad, "unk": unk}


def _read_tensors(cursor: _Cursor, shapes: Mapping[str, tuple[int, int]]) -> dict[str, Tensor]:
    tensors = {}
    (count,) = cursor.unpack("i")
    for _ in range(count):
        (name_bytes,) = cursor.unpack("H")
        name = cursor.take(name_bytes).decode("ascii")
        kind, values, offset, size = cursor.unpack("BIQQ")
        data = cursor.data[offset : offset + size]
        if len(data) != size:
            raise PackError(f"tensor {name} ends after the file does; delete it from the cache and build again")
        flat = _decode_q4_0(data) if kind == 1 else np.frombuffer(data, "<f4").astype(np.float32)
        if flat.size != values:
            raise PackError(f"tensor {name} has {flat.size} values, its entry says {values}; fetch the base again")
        shape = shapes.get(name) or shapes.get(re.sub(r"^l\d+\.", "", name)) or (values,)
        tensors[_checkpoint_name(name)] = flat.reshape(shape)
    return tensors


def _decode_q4_0(data: bytes) -> NDArray[np.float32]:
    """Blocks of one fp16 scale and 16 bytes: low nibbles are weights 0-15, high ones 16-31, each minus eight."""
    blocks = np.frombuffer(data, Q4_0)
    weights = np.empty((len(blocks), BLOCK), np.float32)
    weights[:, : BLOCK // 2] = blocks["nibbles"] & 0x0F
    weights[:, BLOCK // 2 :] = blocks["nibbles"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _checkpoint_name(name: str) -> str:
    """l3.aln.w -> encoder.layer.3.attention.output.LayerNorm.weight"""
    if name in TENSOR_NAMES:
        return TENSOR_NAMES[name]
    stem, _, letter = name.rpartition(".")
    suffix = {"w": "weight", "b": "bias"}[letter]
    layer = re.match(r"l(\d+)\.(\w+)$", stem)
    if layer:
        return f"encoder.layer.{layer[1]}.{TENSOR_NAMES[layer[2]]}.{suffix}"
    return f"{TENSOR_NAMES[stem]}.{suffix}"


def _unigram(pieces: list[str], scores: list[float], specials: Mapping[str, int]) -> dict[str, Any]:
    """The tokenizer document of XLM-R: words split at spaces, each begun with SentencePiece's mark."""

    def special(piece_id: int) -> dict[str, Any]:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        return {"id": piece_id, "content": pieces[piece_id], **flags}

    bos, eos = pieces[specials["bos"]], pieces[specials["eos"]]
    sides = [{"SpecialToken": {"id": bos, "type_id": 0}}, {"SpecialToken": {"id": eos, "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(piece_id) for piece_id in sorted(specials.values())],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": DROPPED}, "content": ""},
                {"type": "Replace", "pattern": {"Regex": SPACES}, "content": " "},
                {"type": "NFKC"},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [sides[0], {"Sequence": {"id": "A", "type_id": 0}}, sides[1]],
            "pair": [sides[0], {"Sequence": {"id": "A", "type_id": 0}}, sides[1]] * 2,
            "special_tokens": {
                token: {"id": token, "ids": [specials[role]], "tokens": [token]}
                for role, token in (("bos", bos), ("eos", eos))
            },
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": specials["unk"],
            "byte_fallback": False,
            "vocab": [[piece, score] for piece, score in zip(pieces, scores, strict=True)],
        },
    }
