"""A pack's versions side by side, and which of them is current.

    packs/NAME/                         what the recipe builds
    packs/NAME.versions/VERSION/        versions made on this machine: packs like any other, never changed
    packs/NAME.versions/current.json    which one is current, and every promotion that led there
    packs/NAME.cards/VERSION.yaml       the cards of built versions that a newer one took the place of: rows still name them

The pointer is one small file that is replaced by renaming: whoever reads it sees the old version or the new one.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.slm.durable import alone, replace_text
from workers.slm.errors import PackError
from workers.slm.packs import CARD, VERSIONS, Pack, PackCard, read_card, read_card_file

POINTER = "current.json"
CARDS = ".cards"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*\+[0-9a-f]{8}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Promotion(_Frozen):
    """One change of the current version. None stands for what the recipe builds. `gate` says, by head, what was compared."""

    version: str | None
    previous: str | None
    at: datetime
    forced: bool = False
    gate: Mapping[str, str] = {}
    rolled_back_at: datetime | None = None


class Pointer(_Frozen):
    """What current.json says. `promotions` are the oldest first."""

    version: str | None = None
    promotions: tuple[Promotion, ...] = ()

    def forced(self, version: str) -> bool:
        """Whether the gate was overruled when this version was last promoted."""
        return next((p.forced for p in reversed(self.promotions) if p.version == version), False)


def is_pack_name(name: str) -> bool:
    """Whether a pack may have this name: no path, no file."""
    return _NAME.fullmatch(name) is not None


def versions_dir(packs_dir: Path, name: str) -> Path:
    """Where the versions of pack `name` are kept; need not exist."""
    return packs_dir / f"{name}{VERSIONS}"


def pointer_file(packs_dir: Path, name: str) -> Path:
    """The file that says which version of pack `name` is current. Need not exist."""
    return versions_dir(packs_dir, name) / POINTER


def read_pointer(packs_dir: Path, name: str) -> Pointer:
    """Which version of pack `name` is current; the recipe's when nothing was ever promoted. Raises `PackError`."""
    file = pointer_file(packs_dir, name)
    try:
        return Pointer.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Pointer()
    except (OSError, ValidationError) as error:
        why = " ".join(str(error).split())[:200]
        raise PackError(f"{file} cannot be read ({why}); delete it to go back to the pack as it was built") from error


def write_pointer(packs_dir: Path, name: str, pointer: Pointer) -> None:
    """Make another version current at once. Call it while holding the pack's lock."""
    file = pointer_file(packs_dir, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, pointer.model_dump_json(indent=1) + "\n")


def current_version(packs_dir: Path, name: str) -> Path | None:
    """The directory of the version that was promoted; None when it is the one that the recipe builds. Raises `PackError`."""
    if not is_pack_name(name):
        return None
    version = read_pointer(packs_dir, name).version
    if version is None:
        return None
    path = versions_dir(packs_dir, name) / version
    if not path.is_dir():
        raise PackError(f"the current version {version} of the pack {name} is gone; run: voxpop packs rollback {name}")
    return path


def pack_path(packs_dir: Path, name: str) -> Path:
    """Where the pack of this name, or in this directory, lies: its current version. Need not exist. Raises `PackError`."""
    built = packs_dir / name
    return current_version(packs_dir, name) or (built if built.is_dir() else Path(name))


def find_version(packs_dir: Path, name: str, version: str) -> Path:
    """The directory of one version, the built one included. Raises `PackError` naming those there are."""
    there = list_versions(packs_dir, name)
    for pack in there:
        if pack.version == version:
            return pack.path
    known = ", ".join(pack.version for pack in there) or "none"
    raise PackError(f"the pack {name} has no version {version!r}; it has: {known} (voxpop packs list)")


def cards_dir(packs_dir: Path, name: str) -> Path:
    """Where the cards of versions are kept that were built and are gone; need not exist."""
    return packs_dir / f"{name}{CARDS}"


def find_card(packs_dir: Path, name: str, version: str) -> PackCard | None:
    """The card of one version, also of one that was built here and is gone; None when it is not known here."""
    found = next((pack.card for pack in list_versions(packs_dir, name) if pack.version == version), None)
    kept = cards_dir(packs_dir, name) / f"{version}.yaml"
    if found is not None or not _VERSION.fullmatch(version) or not kept.is_file():
        return found
    return read_card_file(kept)


def list_versions(packs_dir: Path, name: str) -> tuple[Pack, ...]:
    """Every version as its card describes it, unverified: the built one, then the others by age. Unreadable ones are left
    out."""
    made = [
        card.parent for card in versions_dir(packs_dir, name).glob(f"*/{CARD}") if _VERSION.fullmatch(card.parent.name)
    ]
    found = []
    for path in [packs_dir / name, *sorted(made, key=lambda path: (path.stat().st_mtime_ns, path.name))]:
        try:
            found.append(Pack(path, read_card(path)))
        except PackError:
            continue
    return tuple(found)


def versioned_packs(packs_dir: Path) -> tuple[str, ...]:
    """The names of the packs that have versions of their own."""
    return tuple(sorted(d.name.removesuffix(VERSIONS) for d in packs_dir.glob(f"[!.]*{VERSIONS}") if d.is_dir()))


def promote(
    packs_dir: Path,
    name: str,
    version: str,
    gate: Callable[[], Mapping[str, str]] = dict,
    *,
    forced: bool = False,
) -> Promotion | None:
    """Make `version` current; None when it is already. `gate` raises when it must not be, else says what it compared.

    Raises `PackError` when there is no such version, or another promotion came in between; then nothing is changed.
    """
    path = find_version(packs_dir, name, version)
    built = path == packs_dir / name
    before = read_pointer(packs_dir, name)
    wanted = None if built else version
    if before.version == wanted:
        return None
    compared = gate()
    promotion = Promotion(
        version=wanted, previous=before.version, at=datetime.now(UTC), forced=forced, gate=dict(compared)
    )
    with alone(packs_dir, name):
        _unchanged(packs_dir, name, before)
        after = Pointer(version=wanted, promotions=(*before.promotions, promotion))
        write_pointer(packs_dir, name, after)
    return promotion


def rollback(packs_dir: Path, name: str) -> Promotion:
    """Go back to the version before the last promotion, which is returned; again, to the one before that.

    Raises `PackError` when nothing was promoted, or the version before is gone.
    """
    before = read_pointer(packs_dir, name)
    standing = [p for p in before.promotions if p.rolled_back_at is None]
    if not standing:
        raise PackError(
            f"no version of the pack {name} was promoted, so there is none to go back to (voxpop packs list)"
        )
    last = standing[-1]
    if last.previous is not None:
        find_version(packs_dir, name, last.previous)
    undone = last.model_copy(update={"rolled_back_at": datetime.now(UTC)})
    promotions = tuple(undone if promotion is last else promotion for promotion in before.promotions)
    with alone(packs_dir, name):
        _unchanged(packs_dir, name, before)
        write_pointer(packs_dir, name, Pointer(version=last.previous, promotions=promotions))
    return undone


def _unchanged(packs_dir: Path, name: str, before: Pointer) -> None:
    if read_pointer(packs_dir, name) != before:
        raise PackError(
            f"another version of the pack {name} was promoted meanwhile; look at voxpop packs list, then try again"
        )
