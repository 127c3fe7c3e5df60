"""`voxpop packs list|verify|show|copy|promote|rollback`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import yaml
from rich.console import Console
from rich.table import Column, Table

from workers.commands.audit import note_or_say
from workers.commands.query import json_line
from workers.errors import UsageError, VoxpopError
from workers.settings import Settings
from workers.slm.build import ensure_built, ensure_pack
from workers.slm.derive import copied
from workers.slm.gate import check
from workers.slm.origins import ancestry, origin_of
from workers.slm.packs import Pack, list_packs, load_pack, read_card, verify_pack
from workers.slm.recipes import shipped_recipes
from workers.slm.versions import (
    Pointer,
    find_card,
    find_version,
    is_pack_name,
    list_versions,
    pack_path,
    promote,
    read_pointer,
    rollback,
    versioned_packs,
)
from workers.store.audit import PROMOTED, ROLLED_BACK

Row = dict[str, Any]


def show_list(settings: Settings, out: Console, *, as_json: bool) -> None:
    """The packs that can be built and those that are, with their versions and where each comes from."""
    built = {pack.name for pack in list_packs(settings.packs_dir)}
    named = {settings.model.pack, *(route.pack for route in settings.model.routes)}
    rows: list[Row] = []
    for name in sorted({*shipped_recipes(), *built, *versioned_packs(settings.packs_dir)}):
        pointer, versions = read_pointer(settings.packs_dir, name), list_versions(settings.packs_dir, name)
        current = _current(settings, name, versions, pointer)
        rows.append(
            {
                "name": name,
                "built": bool(versions),
                "version": current.version if current else "",
                "languages": " ".join(current.card.languages) if current else "",
                "configured": name in named,
                "versions": [_version_row(pack, pointer, pack is current) for pack in versions],
            }
        )
    if as_json:
        for row in rows:
            out.file.write(json_line(row))
        return
    table = Table(Column("Pack", no_wrap=True), Column("Version", no_wrap=True), "Made of", "Languages", "")
    for row in rows:
        state = "configured" if row["configured"] else ""
        if not row["versions"]:
            table.add_row(row["name"], f"none: voxpop packs build {row['name']}", "", "", state)
        for at, version in enumerate(row["versions"]):
            marks = [state] if version["current"] and state else []
            marks += ["current"] if version["current"] else []
            marks += ["forced"] if version["forced"] else []
            name, languages = (row["name"], row["languages"]) if at == 0 else ("", "")
            table.add_row(name, version["version"], _told(version), languages, ", ".join(marks))
    out.print(table, markup=False)


def _current(settings: Settings, name: str, versions: tuple[Pack, ...], pointer: Pointer) -> Pack | None:
    built = settings.packs_dir / name
    wanted = (
        pack
        for pack in versions
        if (pack.path == built if pointer.version is None else pack.version == pointer.version)
    )
    return next(wanted, None)


def _version_row(pack: Pack, pointer: Pointer, current: bool) -> Row:
    lineage = pack.card.lineage
    training = lineage.training if lineage else None
    return {
        "version": pack.version,
        "current": current,
        "forced": pointer.forced(pack.version),
        "parent": f"{lineage.pack} {lineage.version}" if lineage else "",
        "training": training.model_dump(mode="json") if training else None,
    }


def _told(version: Mapping[str, Any]) -> str:
    training = version["training"]
    if training is None:
        return version["parent"] or "its recipe"
    figure = f"macro F1 {training['metrics']['macro_f1']:.3f}"
    data = f"{training['rows']:,} rows of {training['file']} ({training['sha256'][:8]}…)"
    return f"{version['parent'].split()[-1]}, {training['head']}: {data}, {figure}"


def copy_pack(settings: Settings, source: str, name: str, out: Console) -> None:
    """A pack of another name, with the current version of `source` as its first. Raises `PackError`."""
    pack = copied(_whole(settings, source), settings.packs_dir, name)
    out.print(f"{pack.name} {pack.version} is in {pack.path}", highlight=False, soft_wrap=True)


def promote_version(settings: Settings, name: str, version: str, out: Console, err: Console, *, force: bool) -> None:
    """Makes a version current, if the gate lets it, on the record. Raises `GateRefused` with both numbers, `PackError`."""
    _need_name(name)
    new = load_pack(find_version(settings.packs_dir, name, version))
    current = _whole(settings, name)
    gate = partial(_overruled if force else check, current, new)
    promotion = promote(settings.packs_dir, name, version, gate, forced=force)
    if promotion is None:
        out.print(f"{name} {version} is current already", highlight=False)
        return
    for head, said in promotion.gate.items():
        out.print(f"{head}: {said}", highlight=False, soft_wrap=True)
    out.print(f"{name} {version} is current; back with: voxpop packs rollback {name}", highlight=False, soft_wrap=True)
    told = {"pack": name, "version": version, "before": current.version, "forced": str(force).lower()}
    note_or_say(settings, PROMOTED, told, err)


def _overruled(current: Pack, new: Pack) -> Mapping[str, str]:
    """What the gate would have said, for the record."""
    try:
        return check(current, new)
    except VoxpopError as refused:
        return {"forced": str(refused)}


def rollback_version(settings: Settings, name: str, out: Console, err: Console) -> None:
    """Makes the version before the last promotion current again, and notes it in the audit. Raises `PackError`."""
    _need_name(name)
    undone = rollback(settings.packs_dir, name)
    back = undone.previous or ensure_built(name, settings.packs_dir, settings.cache_dir).version
    out.print(f"{name} {back} is current again", highlight=False)
    note_or_say(settings, ROLLED_BACK, {"pack": name, "version": back}, err)


def _need_name(name: str) -> None:
    if not is_pack_name(name):
        raise UsageError(f"{name!r} is no pack's name; only a named pack has versions (voxpop packs list)")


def _whole(settings: Settings, name: str) -> Pack:
    return ensure_pack(name, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)


def verify(settings: Settings, wanted: str | None, out: Console) -> None:
    """Hashes every byte of one pack, or of all built ones. Raises `PackError` at the first that is not whole."""
    names = sorted({*(pack.name for pack in list_packs(settings.packs_dir)), *versioned_packs(settings.packs_dir)})
    every = [pack.path for name in names for pack in list_versions(settings.packs_dir, name)]
    paths = [pack_path(settings.packs_dir, wanted)] if wanted else every
    if not paths:
        raise VoxpopError(f"no pack is built in {settings.packs_dir}; run: voxpop packs build")
    for path in paths:
        card = verify_pack(path)
        out.print(f"{card.name} {card.version}: {len(card.files)} files whole", highlight=False)


def show_card(settings: Settings, wanted: str | None, version: str | None, out: Console) -> None:
    """The card of a built pack, or of one of its versions, as YAML, with what it was learnt from. Raises `PackError`."""
    name = wanted or settings.model.pack
    if version is None:
        card = read_card(pack_path(settings.packs_dir, name))
    else:
        _need_name(name)
        known = find_card(settings.packs_dir, name, version)
        card = known or read_card(find_version(settings.packs_dir, name, version))  # which names those there are
    document = card.model_dump(mode="json", exclude_none=True)
    if (origin := origin_of(ancestry(settings.packs_dir, card)[-1])) is not None:
        document |= {"origin": {name: told for name, told in origin.items() if name != "base"}}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    out.print(text, markup=False, highlight=False, soft_wrap=True, end="")
