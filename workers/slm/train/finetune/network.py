"""The encoder and its heads in PyTorch: the lower layers frozen and run once, the upper ones trained from their states."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.slm.bert import Bert

HEADS = {"sentiment": 3, "emotion": 4, "toxicity": 1, "irony": 1, "intents": 4, "urgency": 1}


class Layer(nn.Module):
    """One post-norm BERT layer. States are (n, t, d); `mask` (n, 1, 1, t) is true where there is a token."""

    def __init__(self, width: int, heads: int, inner: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width, epsilon)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed = self.out(mixed.transpose(1, 2).reshape(n, t, d))
        x = self.norm1(x + functional.dropout(mixed, self.dropout, self.training))
        mixed = self.down(functional.gelu(self.up(x)))
        states: Tensor = self.norm2(x + functional.dropout(mixed, self.dropout, self.training))
        return states

    @classmethod
    def of(cls, bert: Bert, number: int, dropout: float) -> "Layer":
        """Layer `number` of `bert`, with its weights."""
        inner, width = bert.tensor(f"encoder.layer.{number}.intermediate.dense.weight").shape
        layer = cls(width, bert.heads, inner, bert.layer_norm_epsilon, dropout)
        names = layer_names(number)
        state = {}
        for own, theirs in names.items():
            parts = [torch.from_numpy(bert.tensor(name).copy()) for name in theirs]
            state[own] = torch.cat(parts)
        layer.load_state_dict(state)
        return layer


def layer_names(number: int) -> dict[str, tuple[str, ...]]:
    """Parameter of `Layer` -> the checkpoint's tensors that it is made of, stacked."""
    scope = f"encoder.layer.{number}"
    stems = {
        "qkv": tuple(f"{scope}.attention.self.{part}" for part in ("query", "key", "value")),
        "out": (f"{scope}.attention.output.dense",),
        "norm1": (f"{scope}.attention.output.LayerNorm",),
        "up": (f"{scope}.intermediate.dense",),
        "down": (f"{scope}.output.dense",),
        "norm2": (f"{scope}.output.LayerNorm",),
    }
    return {
        f"{own}.{kind}": tuple(f"{s}.{kind}" for s in of) for own, of in stems.items() for kind in ("weight", "bias")
    }


class Embeddings(nn.Module):
    """Words, positions and type zero, added and normed, as BERT does. Frozen."""

    def __init__(self, bert: Bert) -> None:
        super().__init__()

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(bert.tensor(f"embeddings.{name}").copy())

        self.words = tensor("word_embeddings.weight")
        self.rest = tensor("position_embeddings.weight") + tensor("token_type_embeddings.weight")[0]
        self.scale, self.shift = tensor("LayerNorm.weight"), tensor("LayerNorm.bias")
        self.epsilon = bert.layer_norm_epsilon

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words[ids] + self.rest[: ids.shape[1]]
        return functional.layer_norm(x, x.shape[-1:], self.scale, self.shift, self.epsilon)


class AspectAttention(nn.Module):
    """Reads a text's token states for one aspect: where it is spoken of, whether, and how.

    The query is the aspect's description as the same encoder embeds it; a learned key without content is there to be
    looked at when the text does not speak of the aspect.
    """

    def __init__(self, width: int, heads: int = 4, size: int = 64, hidden: int = 192) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.query = nn.Linear(width, heads * size)
        self.key = nn.Linear(width, heads * size)
        self.value = nn.Linear(width, heads * size)
        self.nothing = nn.Parameter(torch.zeros(heads, size))
        self.hidden = nn.Linear(2 * heads * size + heads, hidden)
        self.last = nn.Linear(hidden, 4)  # presence, then negative, neutral, positive

    def forward(self, states: Tensor, mask: Tensor, asked: Tensor, rows: Tensor, dropout: float) -> Tensor:
        """`states` (n, t, d), `mask` (n, t), `asked` (p, d) queries of the texts `rows` (p,), ascending -> (p, 4) logits."""
        n, t, _ = states.shape
        keys, values = (f(states).view(n, t, self.heads, self.size).transpose(1, 2) for f in (self.key, self.value))
        query = self.query(asked).view(-1, self.heads, self.size)
        # The queries of one text side by side, (n, heads, most queries of a text, size): plain matrix products then.
        place = torch.arange(len(rows)) - torch.searchsorted(rows, rows)
        side = query.new_zeros(n, int(place.max()) + 1, self.heads, self.size)
        side = side.index_put((rows, place), query).transpose(1, 2)
        scores = side @ keys.transpose(2, 3) / math.sqrt(self.size)
        scores = scores.masked_fill(~mask[:, None, None, :], -1e4)
        none = (side * self.nothing[:, None, :]).sum(-1, keepdim=True) / math.sqrt(self.size)
        shares = torch.cat([none, scores], dim=3).float().softmax(dim=3).to(values.dtype)
        found = (shares[..., 1:] @ values).transpose(1, 2)[rows, place]
        shares = shares[..., 0].transpose(1, 2)[rows, place]
        x = torch.cat([found.flatten(1), query.flatten(1), shares.to(found.dtype)], dim=1)
        x = functional.dropout(functional.gelu(self.hidden(x)), dropout, self.training)
        logits: Tensor = self.last(x)
        return logits


class Network(nn.Module):
    """The trained part: upper layers, a linear layer a head on the normalised mean state, the aspect attention, and the
    projection that keeps what the base knew of topics (`workers.slm.train.finetune.teacher`)."""

    def __init__(self, bert: Bert, frozen: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.frozen, self.dropout = frozen, dropout
        self.layers = nn.ModuleList(Layer.of(bert, number, dropout) for number in range(frozen, bert.layers))
        self.scale = math.sqrt(bert.width)
        self.heads = nn.ModuleDict({name: nn.Linear(bert.width, outputs) for name, outputs in HEADS.items()})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        self.aspects = AspectAttention(bert.width)
        self.topic = nn.Linear(bert.width, bert.width)
        nn.init.eye_(self.topic.weight)

    def encode(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, t, d) of the frozen layers -> those of the last one, and their normalised mean (n, d)."""
        attend = mask[:, None, None, :]
        for layer in self.layers:
            states = layer(states, attend)
        kept = mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(dim=1).float() / mask.sum(dim=1, keepdim=True)
        return states, functional.normalize(mean, dim=1) * self.scale

    def logits(self, pooled: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        x = functional.dropout(pooled, self.dropout, self.training)
        return {name: self.heads[name](x) for name in names}

    def topics(self, pooled: Tensor) -> Tensor:
        """What texts are about, whatever they think of it: L2-normalised (n, d)."""
        return functional.normalize(self.topic(pooled).float(), dim=1)
