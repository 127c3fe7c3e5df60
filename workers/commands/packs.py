"""`voxpop packs list|verify|show`."""

from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.slm.packs import list_packs, read_card, verify_pack
from workers.slm.recipes import shipped_recipes


def show_list(settings: Settings, out: Console, *, as_json: bool) -> None:
    """The recipes and the packs built from them."""
    built = {pack.name: pack for pack in list_packs(settings.packs_dir)}
    rows = [
        {
            "name": name,
            "built": name in built,
            "version": built[name].version if name in built else "",
            "languages": " ".join(built[name].card.languages) if name in built else "",
            "configured": name == settings.model.pack,
        }
        for name in sorted({*shipped_recipes(), *built})
    ]
    if as_json:
        for row in rows:
            out.file.write(json_line(row))
        return
    table = Table("Pack", "Built", "Languages", "")
    for row in rows:
        state = str(row["version"]) if row["built"] else "no: voxpop packs build " + str(row["name"])
        table.add_row(str(row["name"]), state, str(row["languages"]), "configured" if row["configured"] else "")
    out.print(table, markup=False)


def verify(settings: Settings, wanted: str | None, out: Console) -> None:
    """Hashes every byte of one pack, or of all built ones. Raises `PackError` at the first that is not whole."""
    paths = [_path(settings, wanted)] if wanted else [pack.path for pack in list_packs(settings.packs_dir)]
    if not paths:
        raise VoxpopError(f"no pack is built in {settings.packs_dir}; run: voxpop packs build")
    for path in paths:
        card = verify_pack(path)
        out.print(f"{card.name} {card.version}: {len(card.files)} files whole", highlight=False)


def show_card(settings: Settings, wanted: str | None, out: Console) -> None:
    """The card of a built pack, as YAML."""
    card = read_card(_path(settings, wanted or settings.model.pack))
    text = yaml.safe_dump(card.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
    out.print(text, markup=False, highlight=False, soft_wrap=True, end="")


def _path(settings: Settings, wanted: str) -> Path:
    named = settings.packs_dir / wanted
    return named if named.is_dir() else Path(wanted)
