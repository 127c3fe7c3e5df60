"""Makes a version of a pack out of another: what is the same is linked, not copied, and what is new is written beside it."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.slm.durable import alone, sync, sync_directory
from workers.slm.errors import PackError
from workers.slm.gate import HOLDOUTS, Holdout
from workers.slm.heads import Array, HeadCard, Heads, Layer
from workers.slm.packs import HEADS_FILE, Lineage, Pack, PackCard, Training, load_pack, write_card
from workers.slm.recipes import shipped_recipes
from workers.slm.safetensors import read_safetensors, write_safetensors
from workers.slm.sources import sha256_of
from workers.slm.versions import Pointer, is_pack_name, versions_dir, write_pointer

SCRATCH = ".building."
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)  # then the bytes are copied

Fill = Callable[[Path], list[str]]
"""Writes what a version has of its own into a directory, and names the files."""


@dataclass(frozen=True)
class NewHead:
    """A head trained on this machine: one linear layer (labels, d) and (labels,), its card, and what it is measured on."""

    name: str
    card: HeadCard
    weight: Array
    bias: Array
    holdout: Holdout

    def heads(self) -> Heads:
        """This head alone, as a pack would have it."""
        return Heads({self.name: self.card}, {self.name: (Layer(self.weight, self.bias),)}, None)


def with_head(parent: Pack, packs_dir: Path, head: NewHead, training: Training) -> Pack:
    """The version of `parent`'s pack that has `head` in the place of the one of that name, if any; the one that is there
    already when the same was made before. It is not made current. Raises `PackError`."""
    lineage = Lineage(pack=parent.name, version=parent.version, training=training)
    note = f"{head.name}: {training.rows:,} rows of {training.file} (sha256 {training.sha256})"
    card = parent.card.model_copy(
        update={
            "date": training.date,
            "heads": {**parent.card.heads, head.name: head.card},
            "metrics": {**parent.card.metrics, f"{head.name}_own": dict(training.metrics)},
            "data": (*(line for line in parent.card.data if not line.startswith(f"{head.name}: ")), note),
            "lineage": lineage,
        }
    )

    def fill(path: Path) -> list[str]:
        tensors = {
            n: t for n, t in read_safetensors(parent.path / HEADS_FILE).items() if not n.startswith(f"{head.name}.")
        }
        tensors |= {f"{head.name}.0.weight": head.weight, f"{head.name}.0.bias": head.bias}
        write_safetensors(path / HEADS_FILE, {name: np.asarray(tensor) for name, tensor in tensors.items()})
        holdout = f"{HOLDOUTS}/{head.name}.safetensors"
        head.holdout.write(path / holdout)
        return [HEADS_FILE, holdout]

    with alone(packs_dir, parent.name):
        return _made(parent, packs_dir, card, fill)


def copied(parent: Pack, packs_dir: Path, name: str) -> Pack:
    """A pack of another name with `parent` as its first and current version, to go its own way. Raises `PackError`."""
    if not is_pack_name(name):
        raise PackError(f"{name!r} cannot be a pack's name; take lower-case letters, digits and hyphens")
    with alone(packs_dir, name):
        if name in shipped_recipes() or (packs_dir / name).exists() or versions_dir(packs_dir, name).exists():
            raise PackError(f"there is a pack {name} already; take another name")
        card = parent.card.model_copy(
            update={"name": name, "lineage": Lineage(pack=parent.name, version=parent.version)}
        )
        pack = _made(parent, packs_dir, card, lambda _: [])
        write_pointer(packs_dir, name, Pointer(version=pack.version))
    return pack


def _made(parent: Pack, packs_dir: Path, card: PackCard, fill: Fill) -> Pack:
    directory = versions_dir(packs_dir, card.name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)  # of one who was killed: we hold the lock
        scratch = Path(tempfile.mkdtemp(dir=directory, prefix=SCRATCH))
        try:
            scratch.chmod(0o755)
            return _placed(scratch, directory, _filled(scratch, parent, card, fill))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        why = "no room left" if error.errno == errno.ENOSPC else str(error)
        raise PackError(f"{directory} could not be written ({why}); free disk space or set VOXPOP_STATE_DIR") from error


def _filled(scratch: Path, parent: Pack, card: PackCard, fill: Fill) -> PackCard:
    written = {name: sha256_of(scratch / name) for name in fill(scratch)}
    for name in parent.card.files:
        if name not in written:
            _share(parent.path / name, scratch / name)
    files = dict(sorted({**parent.card.files, **written}.items()))
    told = json.dumps([card.name, sorted(files.items()), {n: h.model_dump() for n, h in sorted(card.heads.items())}])
    number = card.version.split("+")[0]
    version = f"{number}+{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    finished = card.model_copy(update={"version": version, "files": files})
    write_card(scratch, finished)
    sync(scratch)
    return finished


def _placed(scratch: Path, directory: Path, card: PackCard) -> Pack:
    path = directory / card.version
    if not path.exists():
        scratch.rename(path)
        sync_directory(directory)
    return load_pack(path)


def _share(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copyfile(source, target)
