"""`python -m workers.slm.train.finetune.average`: the mean of several checkpoints of one course of training.

Checkpoints near each other err differently, and their mean weights err less than most of them (Wortsman et al. 2022, "Model
soups"). What only some of them have is the mean of those.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor


def averaged(checkpoints: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Each tensor's mean over the checkpoints that have it, weighted by their `shares`."""
    names = {name: None for checkpoint in checkpoints for name in checkpoint}
    found = {}
    for name in names:
        having = [(c[name], share) for c, share in zip(checkpoints, shares, strict=True) if name in c]
        found[name] = sum(tensor * share for tensor, share in having) / sum(share for _, share in having)
    return found


def main() -> None:
    """Writes the mean checkpoint, which `asking` then takes as its folder's best.pt."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune.average", description=main.__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--shares", type=float, nargs="+", help="of each, in order; all alike when left out")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    arguments = parser.parse_args()
    shares = arguments.shares or [1.0] * len(arguments.checkpoints)
    if len(shares) != len(arguments.checkpoints):
        parser.error(f"{len(arguments.checkpoints)} checkpoints and {len(shares)} shares: give one each")
    checkpoints = [torch.load(path, weights_only=True) for path in arguments.checkpoints]
    torch.save(averaged(checkpoints, shares), arguments.out)


if __name__ == "__main__":
    main()
