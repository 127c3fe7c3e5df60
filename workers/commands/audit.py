"""`voxpop audit`, and what a command did, on the record in ClickHouse."""

import getpass
import socket
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from workers.commands.query import json_line
from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.audit import note, noted
from workers.store.connect import connect
from workers.store.query import Reader

CONNECT_S = 3.0


def operator() -> str:
    """The operating system's user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def note_or_say(settings: Settings, action: str, details: Mapping[str, str], err: Console) -> None:
    """Notes it, or says in one line why it is not on the record: what was done stays done."""
    quick = settings.clickhouse.model_copy(
        update={"connect_timeout_s": min(CONNECT_S, settings.clickhouse.connect_timeout_s)}
    )
    try:
        with connect(quick) as client:
            note(client, quick, operator(), action, details)
    except VoxpopError as error:
        err.print(f"not noted in the audit: {error}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def show_audit(settings: Settings, action: str, limit: int, out: Console, *, as_json: bool) -> None:
    """The latest `limit` lines of the record, newest first; of one action when `action` is not empty."""
    with connect(settings.clickhouse) as client:
        lines = noted(Reader(client, settings.clickhouse), action, limit)
    if as_json:
        for line in lines:
            out.file.write(json_line(line._asdict()))
        return
    table = Table("When", "Who", "Did", "What", caption=f"{len(lines)} lines", caption_justify="left")
    for line in lines:
        told = ", ".join(f"{name} {value}" for name, value in line.details.items())
        table.add_row(f"{line.done_at:%Y-%m-%d %H:%M:%S}", line.who, line.action, told)
    out.print(table, markup=False)
