"""What a command did, on the record in ClickHouse."""

import getpass
import socket
from collections.abc import Mapping

from rich.console import Console

from workers.errors import VoxpopError
from workers.settings import Settings
from workers.store.audit import note
from workers.store.connect import connect

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
