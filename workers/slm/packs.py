"""A pack: a directory that holds all a classifier needs, and says by hash what it holds."""

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from workers.slm.attention import AttentionCard
from workers.slm.cards import card_of
from workers.slm.encoder import BATCH_TOKENS, Encoder, EncoderShape
from workers.slm.errors import PackError
from workers.slm.generator import DecoderShape, Generator
from workers.slm.heads import AspectCard, HeadCard, Heads
from workers.slm.recipes import DecoderLayout, EncoderLayout, PackName, Role, Sha256
from workers.slm.sources import sha256_of

CARD = "pack.yaml"
MODEL_DIR = "model"
TOKENIZER_FILE = "tokenizer.json"
HEADS_FILE = "heads.safetensors"
FORMAT = 1
VERSIONS = ".versions"  # the ending of the directory that holds a pack's versions


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseCard(_Frozen):
    name: str
    licence: str
    sha256: dict[Role, Sha256]


class Training(_Frozen):
    """What a version's own head learnt from, and what came of it. `metrics` are shares of 1, on the data named."""

    head: str
    file: str
    sha256: Sha256
    rows: int
    holdout: str
    holdout_rows: int
    seed: int
    date: datetime.date
    by: str = Field(default="", description="The operating system's user and machine; empty when it was not noted.")
    metrics: dict[str, float]


class Lineage(_Frozen):
    """What a version was made of: another version, of this pack or of the one it is a copy of, and a head trained on it."""

    pack: PackName
    version: str
    training: Training | None = None


class PackCard(_Frozen):
    """What pack.yaml says. `metrics` are of the named data sets' dev parts; `recipe` is what it was built from."""

    format: int = FORMAT
    name: PackName
    version: str
    date: datetime.date
    description: str
    licence: str
    languages: tuple[str, ...]
    recipe: Sha256
    base: BaseCard
    encoder: EncoderLayout | None = None
    decoder: DecoderLayout | None = None
    quantization: str
    heads: dict[str, HeadCard] = {}
    aspects: AspectCard | None = None
    attention: AttentionCard | None = None
    adapter: Sha256 | None = Field(default=None, description="Of the adapter that was merged into the base's matrices.")
    metrics: dict[str, dict[str, float]] = {}
    data: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    lineage: Lineage | None = None
    files: dict[str, Sha256] = Field(min_length=1)


@dataclass(frozen=True)
class Pack:
    """A verified pack. `encoder()` and `heads` load what they need when they are asked for."""

    path: Path
    card: PackCard

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def version(self) -> str:
        return self.card.version

    @property
    def encoder_hash(self) -> str:
        """SHA-256 of all that a text's embedding depends on: versions that share it embed alike."""
        parts = {name: sha256 for name, sha256 in self.card.files.items() if name.startswith(f"{MODEL_DIR}/")}
        parts[TOKENIZER_FILE] = self.card.files[TOKENIZER_FILE]
        told = json.dumps([sorted(parts.items()), self.layout.model_dump()])
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def layout(self) -> EncoderLayout:
        """How its encoder wants texts laid out; `PackError` when it is a generator."""
        if self.card.encoder is None:
            raise PackError(f"the pack {self.name} is a generator and judges no text; take another pack")
        return self.card.encoder

    def generator(self, replicas: int | None = None) -> Generator:
        """A new generator of this pack; `PackError` when it is a classifier."""
        if self.card.decoder is None:
            raise PackError(f"the pack {self.name} generates no text; take another: voxpop packs list")
        layout = self.card.decoder
        shape = DecoderShape(layout.context_tokens, layout.turn_start, layout.turn_end, layout.tasks)
        return Generator(self.path / MODEL_DIR, self.path / TOKENIZER_FILE, shape, replicas=replicas)

    def encoder(self, replicas: int | None = None, batch_tokens: int = BATCH_TOKENS) -> Encoder:
        """A new encoder of this pack. Close it when done."""
        layout = self.layout
        shape = EncoderShape(layout.prefix, layout.window_tokens, layout.start_token, layout.end_token)
        model, tokenizer = self.path / MODEL_DIR, self.path / TOKENIZER_FILE
        return Encoder(model, tokenizer, shape, replicas=replicas, batch_tokens=batch_tokens)

    @cached_property
    def heads(self) -> Heads:
        """The trained heads; `PackError` when the pack has none."""
        if not self.card.heads:
            raise PackError(
                f"the pack {self.name} has no heads; train some (python -m workers.slm.train) or take another pack"
            )
        return Heads.read(self.path / HEADS_FILE, self.card.heads, self.card.aspects, self.card.attention)


def read_card(path: Path) -> PackCard:
    """The card of the pack in directory `path`, unverified. Raises `PackError`."""
    if not (path / CARD).exists():
        raise PackError(f"{path} holds no pack ({CARD} is missing); build one with: voxpop packs build")
    return read_card_file(path / CARD)


def read_card_file(file: Path) -> PackCard:
    """The card in a file. Raises `PackError`."""
    return card_of(file, PackCard, _mend(file.parent))


def verify_pack(path: Path) -> PackCard:
    """The card of the pack in `path` after every byte of it was hashed. Raises `PackError` naming the first file that is
    missing, altered or not of the pack."""
    card = read_card(path)
    if card.format != FORMAT:
        raise PackError(f"{path} has pack format {card.format}, this Voxpop reads {FORMAT}; {_mend(path)}")
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} - {CARD}
    for name in sorted(found ^ set(card.files)):
        state = "is missing" if name in card.files else "does not belong to it"
        raise PackError(f"the pack {path} is not whole: {name} {state}; {_mend(path)}")
    for name, expected in card.files.items():
        actual = sha256_of(path / name)
        if actual != expected:
            raise PackError(f"the pack {path} is damaged: {name} has sha256 {actual}, not {expected}; {_mend(path)}")
    return card


def load_pack(path: Path) -> Pack:
    """The pack in directory `path`, verified. Raises `PackError`."""
    return Pack(path, verify_pack(path))


def list_packs(root: Path) -> tuple[Pack, ...]:
    """The packs built under `root`, by name, as their cards describe them: unverified. Unreadable ones are left out."""
    directories = sorted(card.parent for card in root.glob(f"[!.]*/{CARD}"))
    packs = []
    for directory in directories:
        try:
            packs.append(Pack(directory, read_card(directory)))
        except PackError:
            continue
    return tuple(packs)


def write_card(path: Path, card: PackCard) -> None:
    """Write pack.yaml into `path`, the same card as the same bytes."""
    plain = card.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
    (path / CARD).write_text(text, encoding="utf-8")


def hashes(path: Path) -> Mapping[str, str]:
    """File name inside the pack -> sha256, for every file but the card, by name."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file != path / CARD)
    return {file.relative_to(path).as_posix(): sha256_of(file) for file in files}


def _mend(path: Path) -> str:
    if path.parent.name.endswith(VERSIONS):
        return f"go back to the version before: voxpop packs rollback {path.parent.name.removesuffix(VERSIONS)}"
    return f"delete {path} and run: voxpop packs build"
