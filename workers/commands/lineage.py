"""`voxpop lineage`: from an event to its row, to the pack's version, to data sets and training runs."""

from typing import Any

import yaml
from rich.console import Console

from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.slm.origins import ancestry, origin_of
from workers.slm.versions import find_card, is_pack_name
from workers.store.connect import connect
from workers.store.lineage import promotions, rows_of, second_opinions
from workers.store.query import Reader

Document = dict[str, Any]


def show_lineage(settings: Settings, event: str, source: str, out: Console, *, as_json: bool) -> None:
    """A document a row, as YAML or as a line of JSON each.

    Raises `VoxpopError` when there is no row, or the version that judged one is not known here: the rows are told first.
    """
    with connect(settings.clickhouse) as client:
        reader = Reader(client, settings.clickhouse)
        rows = rows_of(reader, event, source)
        if not rows:
            raise VoxpopError(f"no row is of the event {event!r}; look at voxpop deadletters list, or at its source")
        found = [_lineage(settings, reader, row) for row in rows]
    for document in found:
        if as_json:
            out.file.write(json_line(document))
        else:
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
            out.print(text, markup=False, highlight=False, soft_wrap=True, end="")
    if unknown := [document["row"] for document in found if not document["versions"]]:
        pack, version = unknown[0]["pack"], unknown[0]["pack_version"]
        raise VoxpopError(
            f"the card of {pack} {version} is not in {settings.packs_dir}; run this where that version was built or trained"
        )


def _lineage(settings: Settings, reader: Reader, row: Document) -> Document:
    document: Document = {"row": row, "second_opinions": second_opinions(reader, row), "versions": [], "origin": None}
    card = find_card(settings.packs_dir, row["pack"], row["pack_version"]) if is_pack_name(row["pack"]) else None
    if card is None:
        return document
    cards = ancestry(settings.packs_dir, card)
    document["versions"] = [
        {
            "pack": each.name,
            "version": each.version,
            "date": each.date,
            "recipe": each.recipe,
            "files": dict(each.files),
            "trained": each.lineage.training.model_dump(mode="json")
            if each.lineage and each.lineage.training
            else None,
            "promoted": promotions(reader, each.name, each.version),
        }
        for each in cards
    ]
    whole = cards[-1].lineage is None
    document["origin"] = origin_of(cards[-1]) if whole else None
    return document
