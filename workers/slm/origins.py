"""From a pack to what it was learnt from: versions back to the one that a recipe built, then data sets and training runs.

`origins.yaml` knows a shipped pack by the SHA-256 of its heads or its adapter; of other bytes it says nothing.
"""

import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from workers.slm.packs import HEADS_FILE, PackCard
from workers.slm.recipes import PackName, Sha256
from workers.slm.versions import find_card


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSet(_Frozen):
    """Where it comes from, under which licence, and its files by SHA-256."""

    origin: str
    licence: str
    files: dict[str, Sha256]


class Run(_Frozen):
    """A program that trained a part of it. `seed` None where nothing is drawn by lot; `until` is the day it was last run."""

    program: str
    teaches: str
    until: datetime.date
    seed: int | None = None


class PackOrigin(_Frozen):
    """`trained` is the trained part of the encoder or decoder, where there is one; a generator has no heads. `data` says by
    a set's name what it taught."""

    heads: Sha256 | None = None
    data: dict[str, str]
    runs: tuple[Run, ...]
    trained: Sha256 | None = None

    def is_of(self, card: PackCard) -> bool:
        """Whether a pack of this card has what was trained: its heads, or its adapter."""
        if card.adapter is not None:
            return self.trained == card.adapter
        return self.heads is not None and self.heads == card.files.get(HEADS_FILE)


class Origins(_Frozen):
    data_sets: dict[str, DataSet]
    packs: dict[PackName, PackOrigin]


def shipped_origins() -> Origins:
    """What origins.yaml says."""
    text = (Path(str(resources.files("workers.slm"))) / "origins.yaml").read_text(encoding="utf-8")
    return Origins.model_validate(yaml.safe_load(text))


def origin_of(card: PackCard) -> dict[str, Any] | None:
    """What the pack was learnt from, as plain data: base, data sets and runs; None when its heads or its adapter are not
    known. A generator without an adapter is its base, and nothing was taught to it."""
    origins, heads = shipped_origins(), card.files.get(HEADS_FILE)
    base = card.base.model_dump(mode="json")
    if heads is None and card.adapter is None:
        return {"base": base, "data_sets": {}, "runs": []}
    found = next((origin for origin in origins.packs.values() if origin.is_of(card)), None)
    if found is None:
        return None
    sets = {
        name: {"teaches": teaches} | origins.data_sets[name].model_dump(mode="json")
        for name, teaches in found.data.items()
    }
    runs = [run.model_dump(mode="json", exclude_none=True) for run in found.runs]
    trained = {"trained_sha256": found.trained} if found.trained else {}
    judged = {"heads_sha256": heads} if heads else {}
    return {"base": base, **trained, **judged, "data_sets": sets, "runs": runs}


def ancestry(packs_dir: Path, card: PackCard) -> list[PackCard]:
    """The card, then those of the versions that it was made of, the one of a recipe last; as far as they are here."""
    cards = [card]
    while (lineage := cards[-1].lineage) is not None:
        parent = find_card(packs_dir, lineage.pack, lineage.version)
        if parent is None or parent in cards:
            break
        cards.append(parent)
    return cards
