"""The same encoder in ONNX Runtime, at its best: fused attention, layer norms and GELU, dynamic int8, all threads.

Built from the weights with `onnx` alone. The fused operators are ONNX Runtime's own (domain com.microsoft), which its
optimizer would put in place of the plain graph that PyTorch exports.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

from workers.slm.bert import Bert

BATCH_TOKENS = 2_048  # padded; other sizes have not been searched
FUSED = "com.microsoft"


def onnx_engines(bert: Bert, prefix: str, threads: int, directory: Path) -> dict[str, Callable[[Sequence[str]], None]]:
    """Name -> what embeds texts with it."""
    plain, small = directory / "encoder.onnx", directory / "encoder-int8.onnx"
    onnx.save(onnx_bert(bert), plain)
    untold = {"DefaultTensorType": TensorProto.FLOAT}  # of what comes out of a fused operator
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True, extra_options=untold)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    return {
        f"ONNX Runtime {name}": _embedder(path, tokenizer, prefix, threads)
        for name, path in (("int8", small), ("fp32", plain))
    }


def _embedder(path: Path, tokenizer: Tokenizer, prefix: str, threads: int) -> Callable[[Sequence[str]], None]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def embed(texts: Sequence[str]) -> None:
        ids = [each.ids for each in tokenizer.encode_batch([prefix + text for text in texts])]
        for batch in length_sorted(ids, BATCH_TOKENS):
            lengths = np.array([len(row) for row in batch], np.int32)
            padded = np.zeros((len(batch), lengths.max()), np.int32)
            for row, own in zip(padded, batch, strict=True):
                row[: len(own)] = own
            (states,) = session.run(None, {"ids": padded, "lengths": lengths})
            mean_states(states, lengths)

    return embed


def length_sorted(rows: Sequence[list[int]], batch_tokens: int) -> Iterator[list[list[int]]]:
    """Batches of rows of similar length, the longest first, of at most `batch_tokens` tokens, padding included."""
    batch: list[list[int]] = []
    for row in sorted(rows, key=len, reverse=True):
        if batch and (len(batch) + 1) * len(batch[0]) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def mean_states(states: NDArray[np.float32], lengths: NDArray[np.int32]) -> list[NDArray[np.float32]]:
    """The mean (d,) of each row's own states (n, t, d)."""
    return [row[:length].mean(axis=0) for row, length in zip(states, lengths, strict=True)]


def onnx_bert(bert: Bert) -> Any:
    """The encoder: `ids` (n, t) and `lengths` (n,) to states (n, t, d)."""
    graph = _Graph(bert)
    words = graph.node("Gather", [graph.weight("embeddings.word_embeddings.weight"), "ids"])
    places = graph.array("zero_to_t", np.arange(bert.tensor("embeddings.position_embeddings.weight").shape[0]))
    width = graph.node("Gather", [graph.node("Shape", ["ids"]), graph.array("one", np.array([1]))])
    used = graph.node("Slice", [places, graph.array("nought", np.array([0])), width])
    positions = graph.node("Gather", [graph.weight("embeddings.position_embeddings.weight"), used])
    first_type = graph.array("first_type", bert.tensor("embeddings.token_type_embeddings.weight")[0])
    x = graph.norm(words, graph.node("Add", [positions, first_type]), "embeddings.LayerNorm", None, spread=True)
    for layer in range(bert.layers):
        x = _layer(graph, bert, f"encoder.layer.{layer}", x)
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", "t", bert.width])
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT32, ["n", "t"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]),
    ]
    made = helper.make_graph(graph.nodes, "encoder", inputs, [output], graph.arrays)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def _layer(graph: "_Graph", bert: Bert, name: str, x: str) -> str:
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weights = np.concatenate([bert.tensor(f"{part}.weight").T for part in parts], axis=1)
    biases = np.concatenate([bert.tensor(f"{part}.bias") for part in parts])
    inputs = [x, graph.array(f"{name}.qkv", weights), graph.array(f"{name}.qkv.bias", biases), "lengths"]
    attended = graph.node("Attention", inputs, domain=FUSED, num_heads=bert.heads)
    dense = graph.times(attended, f"{name}.attention.output.dense.weight")
    x = graph.norm(dense, x, f"{name}.attention.output.LayerNorm", f"{name}.attention.output.dense.bias")
    inner = graph.times(x, f"{name}.intermediate.dense.weight")
    curved = graph.node("BiasGelu", [inner, graph.weight(f"{name}.intermediate.dense.bias")], domain=FUSED)
    dense = graph.times(curved, f"{name}.output.dense.weight")
    return graph.norm(dense, x, f"{name}.output.LayerNorm", f"{name}.output.dense.bias")


class _Graph:
    """Collects nodes and weights."""

    def __init__(self, bert: Bert) -> None:
        self._bert = bert
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def array(self, name: str, values: NDArray[Any]) -> str:
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weight(self, name: str) -> str:
        return self.array(name, self._bert.tensor(name))

    def times(self, x: str, weight: str) -> str:
        return self.node("MatMul", [x, self.array(weight, self._bert.tensor(weight).T)])

    def norm(self, x: str, skip: str, name: str, bias: str | None, *, spread: bool = False) -> str:
        """Layer norm of the sum. `spread`: `skip` is one row of the batch, for all of its rows."""
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        epsilon = self._bert.layer_norm_epsilon
        if spread:
            total = self.node("Add", [x, skip])
            return self.node("LayerNormalization", [total, scale, shift], axis=-1, epsilon=epsilon)
        inputs = [x, skip, scale, shift] + ([self.weight(bias)] if bias else [])
        return self.node("SkipLayerNormalization", inputs, domain=FUSED, epsilon=epsilon)
