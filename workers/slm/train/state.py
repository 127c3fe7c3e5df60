"""Where a training goes on from: one file, whole or not there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

STATE = "state.pt"


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Put it in the place of the last one at once: a training that is killed meanwhile goes on from that."""
    partial = folder / f"{STATE}.partial"
    torch.save(dict(state), partial)
    partial.replace(folder / STATE)


def read_state(folder: Path) -> dict[str, Any] | None:
    """What was written last; None when nothing was."""
    file = folder / STATE
    return torch.load(file, weights_only=True) if file.is_file() else None
