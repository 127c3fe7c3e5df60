"""A Llama of a few weights: as a GGUF file written byte by byte, and as plain numpy, straight from the paper's formulas."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

WIDTH, INNER, HEADS, KV_HEADS, LAYERS = 32, 64, 4, 2, 2
EPSILON, BASE = 1e-5, 10_000.0
TOKENS = ["<|end|>", "<|start|>", "a", "b", "c", "Ġ", "1", "2", "ab", "Ġa", "Ġab", "Ċ"]
MERGES = ["a b", "Ġ a", "Ġ ab"]
ENTRIES: Mapping[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": LAYERS,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": KV_HEADS,
    "llama.attention.layer_norm_rms_epsilon": EPSILON,
    "llama.rope.freq_base": BASE,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.merges": MERGES,
    "tokenizer.ggml.token_type": [3, 3, *[1] * (len(TOKENS) - 2)],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 0,
    "tokenizer.ggml.unknown_token_id": 0,
}


def small_tensors(seed: int = 0) -> dict[str, Array]:
    """Random weights by GGUF's names, matrices (out, in)."""
    rng = np.random.default_rng(seed)
    narrow = WIDTH * KV_HEADS // HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(TOKENS), WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        parts = {
            "attn_norm": (WIDTH,),
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (narrow, WIDTH),
            "attn_v": (narrow, WIDTH),
            "attn_output": (WIDTH, WIDTH),
            "ffn_norm": (WIDTH,),
            "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH),
            "ffn_down": (WIDTH, INNER),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in parts.items()}
    return {f"{name}.weight": (0.4 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def gguf_bytes(entries: Mapping[str, Any], tensors: Mapping[str, tuple[int, tuple[int, ...], bytes]]) -> bytes:
    """A GGUF file. `tensors`: name -> (GGML type, shape with the slowest dimension first, its bytes)."""
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    out += b"".join(_string(key) + _value(value) for key, value in entries.items())
    body = b""
    for name, (kind, shape, data) in tensors.items():
        out += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, len(body))
        body += data + bytes(-len(data) % 32)
    return out + bytes(-len(out) % 32) + body


def plain(tensors: Mapping[str, Array]) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    """Tensors as float32 for `gguf_bytes`."""
    return {name: (0, tensor.shape, tensor.astype("<f4").tobytes()) for name, tensor in tensors.items()}


def small_recipe(directory: Path, sha256: str, decoder: Mapping[str, Any], **further: Any) -> dict[str, Any]:
    """A pack's recipe for `small.gguf`, of that hash, in the directory."""
    return {
        "name": "small-llama",
        "version": "1",
        "date": "2026-11-25",
        "description": "A Llama of a few weights.",
        "licence": "Apache-2.0",
        "languages": ["en"],
        "quantization": "float32",
        "base": {
            "name": "small",
            "licence": "Apache-2.0",
            "format": "gguf",
            "sha256": {"weights": sha256},
            "sources": [{"kind": "directory", "path": str(directory), "members": {"weights": "small.gguf"}}],
        },
        "decoder": {"context_tokens": 128, "turn_start": "<|start|>", "turn_end": "<|end|>", **decoder},
        **further,
    }


def logits(tensors: Mapping[str, Array], ids: list[int]) -> Array:
    """What the model says after each token: (tokens, vocabulary)."""
    t = {name.removesuffix(".weight"): tensor.astype(np.float64) for name, tensor in tensors.items()}
    x = t["token_embd"][ids]
    for layer in range(LAYERS):
        part = {name.split(".")[2]: tensor for name, tensor in t.items() if name.startswith(f"blk.{layer}.")}
        h = _norm(x, part["attn_norm"])
        q, k, v = (_heads(h @ part[name].T) for name in ("attn_q", "attn_k", "attn_v"))
        q, k = _rotated(q), _rotated(k)
        k, v = (np.repeat(each, HEADS // KV_HEADS, axis=0) for each in (k, v))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(WIDTH / HEADS)
        scores[:, np.triu(np.ones((len(ids), len(ids)), bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        x = x + (shares @ v).transpose(1, 0, 2).reshape(len(ids), WIDTH) @ part["attn_output"].T
        h = _norm(x, part["ffn_norm"])
        gate = h @ part["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ part["ffn_up"].T)) @ part["ffn_down"].T
    return (_norm(x, t["output_norm"]) @ t["token_embd"].T).astype(np.float32)


def _heads(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x.reshape(len(x), -1, WIDTH // HEADS).transpose(1, 0, 2)


def _norm(x: NDArray[np.float64], gamma: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON) * gamma


def _rotated(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Neighbouring pairs turned by position · base^(-2i/d) (Su et al. 2021), as GGUF orders the rows."""
    size = x.shape[-1]
    angle = np.arange(x.shape[1])[:, None] * BASE ** (-np.arange(0, size, 2) / size)
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2] = even * np.cos(angle) - odd * np.sin(angle)
    out[..., 1::2] = even * np.sin(angle) + odd * np.cos(angle)
    return out


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, list):
        first = _value(value[0])[:4]
        return (
            struct.pack("<I", 9) + first + struct.pack("<Q", len(value)) + b"".join(_value(each)[4:] for each in value)
        )
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
