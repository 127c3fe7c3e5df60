"""`python -m workers.slm.train.finetune.average`: the mean of several checkpoints of one course of training.

Checkpoints near each other err differently, and their mean weights err less than most of them (Wortsman et al. 2022, "Model
soups"). What only some of them have is the mean of those.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workers.slm.e5s1 import read_e5s1
from workers.slm.train.finetune.go_on import checkpoint_of


def averaged(checkpoints: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Each tensor's mean over the checkpoints that have it, weighted by their `shares`."""
    names = {name: None for checkpoint in checkpoints for name in checkpoint}
    found = {}
    for name in names:
        having = [(c[name], share) for c, share in zip(checkpoints, shares, strict=True) if name in c]
        found[name] = sum(tensor * share for tensor, share in having) / sum(share for _, share in having)
    return found


def nearer_first(
    mean: Mapping[str, Tensor], first: Mapping[str, Tensor], shares: Mapping[str, float]
) -> dict[str, Tensor]:
    """The mean, whose tensors with the prefix `p` are to `shares[p]` those of the first checkpoint."""
    found = dict(mean)
    for name in mean:
        for prefix, share in shares.items():
            if name.startswith(prefix):
                found[name] = share * first[name] + (1 - share) * mean[name]
    return found


def main() -> None:
    """Writes the mean checkpoint, which `asking` then takes as its folder's best.pt."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune.average", description=main.__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--shares", type=float, nargs="+", help="of each, in order; all alike when left out")
    parser.add_argument("--pack", help="its trained part is the first checkpoint, before those that are named")
    parser.add_argument("--base", type=Path, help="the E5S1 file that --pack needs")
    parser.add_argument(
        "--of-first", nargs="+", default=[], metavar="PREFIX=SHARE", help="tensors to take from the first, how far"
    )
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    arguments = parser.parse_args()
    if arguments.pack and not arguments.base:
        parser.error("--pack needs --base, the E5S1 file that the pack was made of")
    checkpoints = [torch.load(path, weights_only=True) for path in arguments.checkpoints]
    if arguments.pack:
        checkpoints.insert(0, checkpoint_of(arguments.pack, read_e5s1(arguments.base), checkpoints[0]))
    shares = arguments.shares or [1.0] * len(checkpoints)
    if len(shares) != len(checkpoints):
        parser.error(f"{len(checkpoints)} checkpoints and {len(shares)} shares: give one each")
    nearer = {prefix: float(share) for prefix, _, share in (told.partition("=") for told in arguments.of_first)}
    torch.save(nearer_first(averaged(checkpoints, shares), checkpoints[0], nearer), arguments.out)


if __name__ == "__main__":
    main()
