"""The same encoder in PyTorch: batches sorted by length, and Hugging Face's pipeline as its documentation shows it."""

import json
import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, pipeline

from workers.bench.onnx_engine import length_sorted
from workers.slm.bert import Bert

BATCH_TOKENS = 4_096
PIPELINE_BATCH = 32


def torch_engines(bert: Bert, prefix: str, threads: int) -> dict[str, Callable[[Sequence[str]], None]]:
    """Name -> what embeds texts with it."""
    torch.set_num_threads(threads)
    model = bert_model(bert)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))

    def embed_sorted(texts: Sequence[str]) -> None:
        ids = [each.ids for each in tokenizer.encode_batch([prefix + text for text in texts])]
        for batch in length_sorted(ids, BATCH_TOKENS):
            longest = len(batch[0])
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch])
            with torch.inference_mode():
                states = model(input_ids=padded, attention_mask=mask).last_hidden_state
                (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(bert.tokenizer)), pad_token=_padding(bert), model_max_length=512
    )
    wrapped.model_input_names = ["input_ids", "attention_mask"]
    features = pipeline("feature-extraction", model=model, tokenizer=wrapped, batch_size=PIPELINE_BATCH)

    def embed_by_pipeline(texts: Sequence[str]) -> None:
        for states in features([prefix + text for text in texts], return_tensors=True):
            states.mean(dim=1)

    return {"PyTorch fp32, sorted by length": embed_sorted, "Hugging Face pipeline (PyTorch fp32)": embed_by_pipeline}


def _padding(bert: Bert) -> str:
    return "<pad>" if "<pad>" in bert.tokens else "[PAD]"


def bert_model(bert: Bert) -> BertModel:
    """Hugging Face's own model with these weights. Raises `ValueError` when they do not fit it."""
    words, width = bert.tensor("embeddings.word_embeddings.weight").shape
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=bert.layers,
        num_attention_heads=bert.heads,
        intermediate_size=bert.tensor("encoder.layer.0.intermediate.dense.weight").shape[0],
        max_position_embeddings=bert.tensor("embeddings.position_embeddings.weight").shape[0],
        type_vocab_size=bert.tensor("embeddings.token_type_embeddings.weight").shape[0],
        layer_norm_eps=bert.layer_norm_epsilon,
        hidden_act="gelu",
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    weights = {name: torch.from_numpy(np.array(t)) for name, t in bert.tensors.items() if _used(name, bert.layers)}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if missing or unexpected:
        raise ValueError(f"the base does not fit BertModel: missing {missing}, unexpected {unexpected}")
    return model


def _used(name: str, layers: int) -> bool:
    number = re.match(r"encoder\.layer\.(\d+)\.", name)
    return "pooler" not in name and (number is None or int(number[1]) < layers)
