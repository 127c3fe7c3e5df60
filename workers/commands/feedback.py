"""`voxpop feedback`: the labels that people gave on the dashboard's page Review, as a file that `voxpop train` reads."""

import csv
from pathlib import Path

from rich.console import Console

from workers.commands.audit import note_or_say
from workers.errors import UsageError
from workers.settings import Settings
from workers.store.audit import EXPORTED
from workers.store.connect import connect
from workers.store.feedback import corrected_texts
from workers.store.query import Reader

COLUMNS = ("title", "text", "label")


def export_feedback(settings: Settings, file: Path, head: str, out: Console, err: Console) -> None:
    """Writes a CSV of titles, redacted texts and labels.

    Raises `UsageError` when nobody has given a label yet or the file cannot be written, and what the store raises.
    """
    with connect(settings.clickhouse) as client:
        found = corrected_texts(Reader(client, settings.clickhouse), head)
    if not found:
        raise UsageError(f"nobody has given a label of {head} yet; do so on the dashboard's page Review")
    try:
        with file.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow(COLUMNS)
            writer.writerows(found)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}); name another file") from error
    note_or_say(settings, EXPORTED, {"head": head, "texts": str(len(found))}, err)
    out.print(f"{len(found)} texts with people's labels are in {file}; learn from them with:", highlight=False)
    out.print(f"voxpop train {file} --head {head} --title-column title", soft_wrap=True, highlight=False, markup=False)
