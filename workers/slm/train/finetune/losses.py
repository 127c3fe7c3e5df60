"""What each task's mistakes cost. Every loss is a sum over the texts that have the label, divided by the batch's size: a
task weighs as much as its texts are many, times its share."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workers.slm.train.finetune.network import HEADS
from workers.slm.train.finetune.samples import Sample, Sought

SHARE = {"sentiment": 1.0, "emotion": 1.0, "toxicity": 0.8, "irony": 0.5, "intents": 0.4, "urgency": 0.3}
PRESENCE, POLARITY, TOPIC = 0.6, 1.0, 1.5
RARE = {"intents": torch.tensor([1.0, 1.0, 1.5, 3.0]), "urgency": torch.tensor([4.0])}
SMOOTHING = 0.03
LABEL = 0.3  # what a label weighs beside a second opinion
ABSENT = -1


class Losses:
    """Holds the labels of all samples as tensors. `opinions` (n, 3) are second opinions on their sentiment, nan where there
    is none."""

    def __init__(self, samples: Sequence[Sample], opinions: Tensor | None = None) -> None:
        self._opinions = opinions
        self._targets = {name: _targets(samples, name, outputs) for name, outputs in HEADS.items()}
        self._weights = torch.tensor([s.weight for s in samples])

    def of_heads(self, batch: list[int], logits: Mapping[str, Tensor]) -> Tensor:
        """The loss of one batch's logits, (n, outputs) a head."""
        total = torch.zeros(())
        for name, values in logits.items():
            targets = self._targets[name][batch]
            known = targets[:, 0] != ABSENT
            if not known.any():
                continue
            said, gold = values[known].float(), targets[known]
            if name in ("sentiment", "emotion"):
                each = functional.cross_entropy(said, gold[:, 0], reduction="none", label_smoothing=SMOOTHING)
                if name == "sentiment" and self._opinions is not None:
                    told = self._opinions[batch][known]
                    second = functional.cross_entropy(said, told.nan_to_num(), reduction="none")
                    each = torch.where(told[:, 0].isnan(), each, LABEL * each + (1 - LABEL) * second)
            else:
                each = functional.binary_cross_entropy_with_logits(
                    said, gold.float(), reduction="none", pos_weight=RARE.get(name)
                ).mean(dim=1)
            if name == "sentiment":
                each = each * self._weights[batch][known]
            total = total + SHARE[name] * each.sum() / len(batch)
        return total


def of_aspects(sought: Sequence[Sought], rows: Tensor, logits: Tensor, batch: int) -> Tensor:
    """The loss of what was asked of a batch's texts: `logits` (p, 4) of `sought` (p,), asked of the texts `rows` (p,). A
    text of which much is asked counts by the square root of how much."""
    counts = torch.bincount(rows, minlength=batch)[rows]
    present = torch.tensor([ABSENT if s.present is None else s.present for s in sought])
    polarity = torch.tensor([ABSENT if s.polarity is None else s.polarity for s in sought])
    known = present != ABSENT
    each = functional.binary_cross_entropy_with_logits(logits[known, 0], present[known].float(), reduction="none")
    total = PRESENCE * (each / counts[known].sqrt()).sum()
    known = polarity != ABSENT
    if known.any():
        total = total + POLARITY * functional.cross_entropy(logits[known, 1:], polarity[known], reduction="sum")
    return total / batch


def of_topics(said: Tensor, taught: Tensor, batch: int) -> Tensor:
    """One minus the cosine of L2-normalised `said` and `taught` (p, d), of those texts of a batch that the teacher read."""
    return TOPIC * (1 - (said * taught).sum(dim=1)).sum() / batch


def _targets(samples: Sequence[Sample], name: str, outputs: int) -> Tensor:
    """(n, columns) int64 labels of one head, ABSENT where a text has none; one column for a softmax head."""
    columns = 1 if name in ("sentiment", "emotion") else outputs
    found = np.full((len(samples), columns), ABSENT, np.int64)
    for row, sample in zip(found, samples, strict=True):
        if name in sample.labels:
            row[:] = np.asarray(sample.labels[name])
    return torch.from_numpy(found)
