"""Whether a version may take another's place: no head may be worse on the user's holdout.

A version carries the holdout of each head that was trained on this machine, as embeddings and labels (no text), so the gate
can be asked at any time, against whatever is current then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.errors import VoxpopError
from workers.slm.fitting.calibration import given_by
from workers.slm.fitting.figures import Given, macro_f1, of_most_frequent
from workers.slm.heads import Array, Heads
from workers.slm.packs import Pack
from workers.slm.safetensors import read_safetensors, write_safetensors

HOLDOUTS = "holdouts"


class GateRefused(VoxpopError):
    """A version would be worse than the current one."""


@dataclass(frozen=True)
class Holdout:
    """Texts kept from training: L2-normalised embeddings (n, d) and which labels they bear (n, labels)."""

    vectors: Array
    gold: Given

    def write(self, file: Path) -> None:
        """As safetensors."""
        file.parent.mkdir(exist_ok=True)
        write_safetensors(file, {"vectors": self.vectors, "gold": self.gold.astype(np.uint8)})

    @classmethod
    def read(cls, file: Path) -> "Holdout":
        """Raises `PackError` when `file` is no holdout."""
        tensors = read_safetensors(file)
        return cls(tensors["vectors"], tensors["gold"].astype(bool))


@dataclass(frozen=True)
class Comparison:
    """A head's macro F1 on `rows` texts of its holdout. `current` is the current version's; for a head that it lacks
    (`new_head`), that of giving every text the most frequent label, which must be beaten, not met."""

    head: str
    rows: int
    new: float
    current: float
    new_head: bool

    @property
    def passed(self) -> bool:
        return self.new > self.current if self.new_head else self.new >= self.current

    def __str__(self) -> str:
        beside = "of always the most frequent label" if self.new_head else "of the current version"
        return f"macro F1 {self.new:.4f} beside {self.current:.4f} {beside}, {self.rows} holdout rows"


def compare(current: Pack, new: Pack) -> tuple[Comparison, ...]:
    """One comparison for each head in which the versions differ.

    Raises `GateRefused` when they cannot be compared: another encoder, a head that would be gone, no holdout.
    """
    if current.encoder_hash != new.encoder_hash:
        raise GateRefused(
            f"{new.version} was made on another encoder than the current {current.version}, so their figures cannot be "
            "compared; train again on the current version, or say --force"
        )
    ours, theirs = new.heads, current.heads
    if gone := [name for name in theirs.cards if name not in ours.cards]:
        raise GateRefused(
            f"{new.version} lacks the head {gone[0]} of the current {current.version}; train again on the current version, "
            "or say --force"
        )
    changed = [name for name in ours.cards if name not in theirs.cards or _differ(name, ours, theirs)]
    return tuple(_comparison(name, current, new) for name in changed)


def check(current: Pack, new: Pack) -> Mapping[str, str]:
    """What was compared, by head. Raises `GateRefused` with both numbers when one got worse."""
    comparisons = compare(current, new)
    for comparison in comparisons:
        if not comparison.passed:
            worse = "no better" if comparison.new_head else "worse"
            raise GateRefused(
                f"{new.version} is {worse} in {comparison.head}: {comparison}; more or better rows may mend it, --force "
                "promotes it all the same"
            )
    return {comparison.head: str(comparison) for comparison in comparisons}


def said(heads: Heads, name: str, vectors: Array, labels: Sequence[str]) -> Given:
    """What head `name` says of texts, in columns of `labels`: a softmax head's likeliest (its thresholds are left aside), a
    sigmoid head's labels above their thresholds. Labels that are not asked for have no column."""
    card = heads.cards[name]
    given = given_by(card, heads.probabilities(name, vectors))
    columns = np.zeros((len(vectors), len(labels)), bool)
    for column, label in enumerate(labels):
        if label in card.labels:
            columns[:, column] = given[:, card.labels.index(label)]
    return columns


def _comparison(name: str, current: Pack, new: Pack) -> Comparison:
    """On the new version's holdout; where it has none, on the current one's."""
    for pack in (new, current):
        file = pack.path / HOLDOUTS / f"{name}.safetensors"
        if file.is_file():
            holdout, labels = Holdout.read(file), pack.card.heads[name].labels
            break
    else:
        raise GateRefused(
            f"neither {new.version} nor the current {current.version} carries a holdout for the head {name}, in which they "
            "differ; say --force if you mean it"
        )
    ours = macro_f1(holdout.gold, said(new.heads, name, holdout.vectors, labels))
    if name not in current.heads.cards:
        return Comparison(name, len(holdout.gold), ours, of_most_frequent(holdout.gold), new_head=True)
    theirs = macro_f1(holdout.gold, said(current.heads, name, holdout.vectors, labels))
    return Comparison(name, len(holdout.gold), ours, theirs, new_head=False)


def _differ(name: str, ours: Heads, theirs: Heads) -> bool:
    if ours.cards[name] != theirs.cards[name] or len(ours.layers[name]) != len(theirs.layers[name]):
        return True
    layers = zip(ours.layers[name], theirs.layers[name], strict=True)
    return any(not (np.array_equal(a.weight, b.weight) and np.array_equal(a.bias, b.bias)) for a, b in layers)
