"""Writes a Llama decoder from a GGUF file as a CTranslate2 model, with numpy alone, and rebuilds its tokenizer.

The mapping is that of CTranslate2's own LlamaLoader. GGUF keeps the query and key rows in the order in which neighbouring
pairs are rotated, so the rotation is interleaved here.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from workers.slm.errors import PackError
from workers.slm.gguf import Gguf

CONTROL = 3  # GGUF's type of a token that stands for no text
PRE_TOKENIZER = "smollm"  # digits one by one, then bytes as GPT-2 cuts them


def write_decoder(gguf: Gguf, directory: Path, quantization: str = "int8") -> None:
    """Write the model's files into `directory`, which must exist. Raises `PackError` for another architecture."""
    entries, tokens = gguf.entries, gguf.entries["tokenizer.ggml.tokens"]
    if entries.get("general.architecture") != "llama":
        raise PackError(f"the GGUF holds a {entries.get('general.architecture')!r}, only llama can be written")
    try:
        spec = _spec(gguf)
    except KeyError as error:
        raise PackError(f"the GGUF has no {error}: it is not a whole Llama; fetch it again") from error
    spec.register_vocabulary(tokens)
    special = {role: tokens[entries[f"tokenizer.ggml.{name}_token_id"]] for role, name in _ROLES.items()}
    for role, token in special.items():
        setattr(spec.config, role, token)
    spec.config.layer_norm_epsilon = entries["llama.attention.layer_norm_rms_epsilon"]
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))


_ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown"}


def gguf_tokenizer(gguf: Gguf) -> Tokenizer:
    """The byte-level BPE tokenizer that the file describes. Raises `PackError` for another kind."""
    entries = gguf.entries
    kind = (entries.get("tokenizer.ggml.model"), entries.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", PRE_TOKENIZER):
        raise PackError(f"the GGUF's tokenizer is {kind}, only ('gpt2', {PRE_TOKENIZER!r}) can be rebuilt")
    tokens = entries["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in entries["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, entries["tokenizer.ggml.token_type"], strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def _spec(gguf: Gguf) -> Any:
    entries, tensors = gguf.entries, gguf.tensors
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        entries["llama.block_count"],
        entries["llama.attention.head_count"],
        activation=common_spec.Activation.SWISH,
        pre_norm=True,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=0,
        rotary_interleave=True,
        rotary_base=entries["llama.rope.freq_base"],
        num_heads_kv=entries["llama.attention.head_count_kv"],
    )
    decoder: Any = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = tensors["token_embd.weight"].copy()
    decoder.projection.weight = tensors.get("output.weight", tensors["token_embd.weight"]).copy()
    decoder.layer_norm.gamma = tensors["output_norm.weight"]
    for number, layer in enumerate(decoder.layer):
        _set_layer(layer, {name: tensors[f"blk.{number}.{name}.weight"].copy() for name in _PARTS})
    return spec


_PARTS = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")


def _set_layer(layer: Any, parts: dict[str, Any]) -> None:
    attention, feed = layer.self_attention, layer.ffn
    attention.layer_norm.gamma = parts["attn_norm"]
    attention.linear[0].weight = np.concatenate([parts["attn_q"], parts["attn_k"], parts["attn_v"]])
    attention.linear[1].weight = parts["attn_output"]
    feed.layer_norm.gamma = parts["ffn_norm"]
    feed.linear_0.weight, feed.linear_0_noact.weight = parts["ffn_gate"], parts["ffn_up"]
    feed.linear_1.weight = parts["ffn_down"]
