"""Writes a BERT encoder as a CTranslate2 model, with numpy alone.

The mapping is that of CTranslate2's own BertLoader; the pooler is left out, since texts are mean-pooled.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec

from workers.slm.bert import Bert

Quantization = Literal["int8", "float32"]


def write_encoder(bert: Bert, directory: Path, quantization: Quantization = "int8") -> None:
    """Write model.bin, config.json and vocabulary.json into `directory`, which must exist.

    The same weights give the same bytes. Raises `PackError` when a tensor is missing.
    """
    spec = _spec(bert)
    spec.register_vocabulary(list(bert.tokens))
    spec.config.unk_token = bert.unknown_token
    spec.config.layer_norm_epsilon = bert.layer_norm_epsilon
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(directory))


def _spec(bert: Bert) -> Any:
    encoder: Any = transformer_spec.TransformerEncoderSpec(
        bert.layers,
        bert.heads,
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = bert.tensor("embeddings.word_embeddings.weight").copy()
    encoder.embeddings[1].weight = bert.tensor("embeddings.token_type_embeddings.weight").copy()
    encoder.position_encodings.encodings = bert.tensor("embeddings.position_embeddings.weight").copy()
    _set_norm(encoder.layernorm_embedding, bert, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        _set_layer(layer, bert, f"encoder.layer.{number}")
    return transformer_spec.TransformerEncoderModelSpec(encoder)


def _set_layer(layer: Any, bert: Bert, scope: str) -> None:
    attention = layer.self_attention
    parts = [f"{scope}.attention.self.{part}" for part in ("query", "key", "value")]
    attention.linear[0].weight = np.concatenate([bert.tensor(f"{part}.weight") for part in parts])
    attention.linear[0].bias = np.concatenate([bert.tensor(f"{part}.bias") for part in parts])
    _set_linear(attention.linear[1], bert, f"{scope}.attention.output.dense")
    _set_norm(attention.layer_norm, bert, f"{scope}.attention.output.LayerNorm")
    _set_linear(layer.ffn.linear_0, bert, f"{scope}.intermediate.dense")
    _set_linear(layer.ffn.linear_1, bert, f"{scope}.output.dense")
    _set_norm(layer.ffn.layer_norm, bert, f"{scope}.output.LayerNorm")


# Copies, because quantizing scales the arrays in place.
def _set_linear(linear: Any, bert: Bert, scope: str) -> None:
    linear.weight = bert.tensor(f"{scope}.weight").copy()
    linear.bias = bert.tensor(f"{scope}.bias").copy()


def _set_norm(norm: Any, bert: Bert, scope: str) -> None:
    norm.gamma = bert.tensor(f"{scope}.weight").copy()
    norm.beta = bert.tensor(f"{scope}.bias").copy()
