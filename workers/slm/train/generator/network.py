"""The decoder in torch, of the very weights that a pack is built of, with low-rank matrices beside its own.

Llama by transformers, LoRA (Hu et al. 2021) by peft. GGUF keeps the rows of query and key in the order in which
neighbouring pairs are rotated; transformers turns one half of a head against the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from workers.slm.gguf import Gguf

# GGUF's name of a layer's matrix -> where transformers has it.
MATRICES: Final = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NORMS: Final = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


@dataclass(frozen=True)
class LowRank:
    """What is trained: of the layers from `first_layer` on every matrix W becomes W + alpha / rank · B A."""

    rank: int = 8
    alpha: float = 16.0
    first_layer: int = 10
    dropout: float = 0.05


def llama(gguf: Gguf) -> LlamaForCausalLM:
    """The file's decoder in float32."""
    entries, tensors = gguf.entries, gguf.tensors
    vocabulary, width = tensors["token_embd.weight"].shape
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=tensors["blk.0.ffn_gate.weight"].shape[0],
        num_hidden_layers=entries["llama.block_count"],
        num_attention_heads=entries["llama.attention.head_count"],
        num_key_value_heads=entries["llama.attention.head_count_kv"],
        rms_norm_eps=entries["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": entries["llama.rope.freq_base"]},
        tie_word_embeddings="output.weight" not in tensors,
        max_position_embeddings=entries.get("llama.context_length", 2_048),
    )
    model = LlamaForCausalLM(config)
    state = {
        "model.embed_tokens.weight": tensors["token_embd.weight"],
        "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"]),
        "model.norm.weight": tensors["output_norm.weight"],
    }
    for layer in range(config.num_hidden_layers):
        for ours, theirs in (MATRICES | NORMS).items():
            weight = tensors[f"blk.{layer}.{ours}.weight"]
            state[f"model.layers.{layer}.{theirs}.weight"] = halves(weight, heads_of(gguf, ours))
    model.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in state.items()})
    return model


def heads_of(gguf: Gguf, matrix: str) -> int:
    """How many heads' rows a matrix has that are rotated; 0 when none is."""
    entries = gguf.entries
    return int({
        "attn_q": entries["llama.attention.head_count"],
        "attn_k": entries["llama.attention.head_count_kv"],
    }.get(matrix, 0))  # fmt: skip


def halves(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows (heads · d, n) in transformers' order, from GGUF's; as they are without heads."""
    if not heads:
        return rows
    return rows.reshape(heads, len(rows) // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def pairs(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows in GGUF's order, from transformers'."""
    if not heads:
        return rows
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def with_low_rank(model: LlamaForCausalLM, plan: LowRank) -> PeftModel:
    """The model with matrices beside its own that are all that is trained. They begin with nothing to say."""
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=[name.rpartition(".")[2] for name in MATRICES.values()],
        layers_to_transform=list(range(plan.first_layer, model.config.num_hidden_layers)),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def trained_matrices(model: PeftModel, gguf: Gguf) -> dict[str, NDArray[np.float16]]:
    """What was trained, by GGUF's names and in its order of rows: `blk.N.NAME.a` (rank, in) and `.b` (out, rank)."""
    found: dict[str, NDArray[np.float16]] = {}
    for name, parameter in model.named_parameters():
        if ".lora_" not in name:
            continue
        _, _, place = name.partition(".layers.")
        layer, _, rest = place.partition(".")
        module, _, side = rest.partition(".lora_")
        matrix = next(ours for ours, theirs in MATRICES.items() if theirs == module)
        values = parameter.detach().cpu().numpy()
        if side[0] == "B":
            values = pairs(values, heads_of(gguf, matrix))
        found[f"blk.{layer}.{matrix}.{side[0].lower()}"] = values.astype(np.float16)
    return found


def weights_of(model: PeftModel) -> dict[str, torch.Tensor]:
    """A copy of what is trained, by peft's names."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def set_weights(model: PeftModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Put a copy back."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def answer_losses(model: PeftModel, row: "Row") -> torch.Tensor:
    """Of each token that is to be learnt, its negative log likelihood (n,)."""
    plain = model.get_base_model()
    read = plain.model(
        input_ids=row.ids[None], attention_mask=row.sees[None, None], position_ids=row.positions[None], use_cache=False
    )
    # The vocabulary is a fifth of the work, so it is asked only where an answer is learnt.
    logits = plain.lm_head(read.last_hidden_state[0, row.learnt])
    return torch.nn.functional.cross_entropy(logits, row.targets, reduction="none")


@dataclass(frozen=True)
class Row:
    """Several prompts with their answers in one row of tokens: `ids` and `positions` (t,), `sees` (t, t) what each may look
    back at, `learnt` (n,) the places whose next token is `targets` (n,). `shares` (n,) is what each counts."""

    ids: torch.Tensor
    positions: torch.Tensor
    sees: torch.Tensor
    learnt: torch.Tensor
    targets: torch.Tensor
    shares: torch.Tensor

    def to(self, device: torch.device) -> "Row":
        """The same on a device."""
        return Row(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class Told:
    """A prompt and its right answers, as ids. An answer ends the turn."""

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.prompt) + sum(map(len, self.answers))


def row_of(some: Sequence[Told]) -> Row:
    """One row: the answers to a prompt are side by side, each sees the prompt and itself, so that the prompt is read once.
    Each prompt counts the same by its answers' tokens' root: a digest has six times a headline's."""
    ids: list[int] = []
    positions: list[int] = []
    owner: list[int] = []
    branch: list[int] = []
    learnt: list[int] = []
    targets: list[int] = []
    shares: list[float] = []
    for number, told in enumerate(some):
        last = len(ids) + len(told.prompt) - 1
        ids += told.prompt
        positions += range(len(told.prompt))
        owner += [number] * len(told.prompt)
        branch += [0] * len(told.prompt)
        for side, answer in enumerate(told.answers, 1):
            learnt += [last, *range(len(ids), len(ids) + len(answer) - 1)]
            targets += answer
            shares += [len(answer) ** -0.5] * len(answer)
            positions += range(len(told.prompt), len(told.prompt) + len(answer))
            owner += [number] * len(answer)
            branch += [side] * len(answer)
            ids += answer
    own, side_of = torch.tensor(owner), torch.tensor(branch)
    same = own[:, None] == own[None]
    along = (side_of[None] == 0) | (side_of[:, None] == side_of[None])
    before = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return Row(
        torch.tensor(ids),
        torch.tensor(positions),
        same & along & before,
        torch.tensor(learnt),
        torch.tensor(targets),
        torch.tensor(shares),
    )
