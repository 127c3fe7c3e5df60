"""`python -m workers.slm.train.reasons --data DIR`: fits the head for the reason of a complaint on the finished encoder.

People named the airline tweets' reasons; `reasons.tsv` beside this file has 160 complaints of our own on other trades, in
English and Spanish, half of which train. Labels are independent of each other, so that two may be given or none. Of the
held-out texts every other one sets the thresholds and the rest measure. Run after `workers.slm.train.calibrate`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from workers.settings import load_settings
from workers.slm.build import ensure_built
from workers.slm.heads import REASON
from workers.slm.recipes import load_recipe
from workers.slm.safetensors import read_safetensors, write_safetensors
from workers.slm.train import corpora, fit
from workers.slm.train.embed import embedded

FILE = Path(__file__).with_name("reasons.tsv")
LABELS = (
    "delay",
    "cancellation",
    "lost_or_damaged",
    "customer_service",
    "staff",
    "ordering",
    "waiting",
    "billing",
    "defect",
    "not_as_described",
)
AIRLINE = {
    "Late Flight": "delay",
    "Cancelled Flight": "cancellation",
    "Lost Luggage": "lost_or_damaged",
    "Damaged Luggage": "lost_or_damaged",
    "Customer Service Issue": "customer_service",
    "Flight Booking Problems": "ordering",
    "Flight Attendant Complaints": "staff",
    "longlines": "waiting",
    "Bad Flight": "",
    "Can't Tell": "",
}
SURE = 0.6  # of the people who named an airline tweet's reason
OWN_WEIGHT = 8.0  # of a complaint of our own, beside thousands of airline tweets
STRENGTH = 3.0  # inverse, of the L2 penalty


class Complaint(NamedTuple):
    """A complaint, the label of its reason ("" for one that is none of ours), and whether it is one of our own."""

    text: str
    label: str
    own: bool


def complaints(data: Path, part: str) -> list[Complaint]:
    """Those to train on or to measure with (`part` is train or dev)."""
    return [*_airline(data, part), *_own(part)]


def _airline(data: Path, part: str) -> Iterator[Complaint]:
    for row in corpora.split(data, "airline_train", part):
        if row["reason"] in AIRLINE and row["reason_confidence"] >= SURE:
            yield Complaint(corpora.plain(row["text"], row["product"]), AIRLINE[row["reason"]], own=False)


def _own(part: str) -> Iterator[Complaint]:
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines()):
        label, _, text = line.split("\t")
        if (number % 2 == 0) == (part == "train"):
            yield Complaint(text, label, own=True)


def _gold(some: list[Complaint]) -> NDArray[np.bool_]:
    return np.array([[complaint.label == label for label in LABELS] for complaint in some])


def main() -> None:
    """Adds the head to workers/slm/heads/<pack>/."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.reasons", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--pack", default="e5-small-multilingual", help="a recipe's name or file")
    arguments = parser.parse_args()
    settings, recipe = load_settings(), load_recipe(arguments.pack)
    pack = ensure_built(arguments.pack, settings.packs_dir, settings.cache_dir)
    train, dev = complaints(arguments.data, "train"), complaints(arguments.data, "dev")
    with pack.encoder() as encoder:
        x, x_dev = (
            embedded(encoder, pack.version, [c.text for c in some], settings.cache_dir, what)
            for some, what in ((train, "complaints"), (dev, "held-out complaints"))
        )
    weights = np.array([OWN_WEIGHT if c.own else 1.0 for c in train], np.float32)
    head = fit.fit_sigmoid(x, _gold(train), STRENGTH, weights)
    shares = 1 / (1 + np.exp(-head.logits(x_dev)))
    gold, own = _gold(dev), np.array([c.own for c in dev])
    tune = np.arange(len(dev)) % 2 == 0
    cuts = {n: round(fit.best_threshold(shares[tune, i], gold[tune, i]), 3) for i, n in enumerate(LABELS)}
    said = shares >= np.array([cuts[n] for n in LABELS])
    figures = {f"f1_{n}": fit.f1(said[~tune, i], gold[~tune, i]) for i, n in enumerate(LABELS)}
    for name, some in (("airline", ~own), ("own", own)):
        chosen = ~tune & some
        figures[f"micro_f1_{name}"] = fit.f1(said[chosen].ravel(), gold[chosen].ravel())
    file = recipe.heads_dir / "heads.safetensors"
    tensors = dict(read_safetensors(file)) | {f"{REASON}.0.weight": head.weight, f"{REASON}.0.bias": head.bias}
    write_safetensors(file, tensors)
    card_file = recipe.heads_dir / "card.yaml"
    card = yaml.safe_load(card_file.read_text(encoding="utf-8"))
    card["heads"][REASON] = {"kind": "sigmoid", "labels": list(LABELS), "temperature": 1.0, "thresholds": cuts}
    card["metrics"]["reason_dev"] = figures
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120)
    card_file.write_text(text, encoding="utf-8")
    print(yaml.safe_dump({"thresholds": cuts, "reason_dev": figures}, sort_keys=False))


if __name__ == "__main__":
    main()
