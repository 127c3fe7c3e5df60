"""`voxpop dashboard`: screens and API on the configured ClickHouse."""

import importlib.util
from contextlib import closing

from rich.console import Console

from workers.errors import UsageError
from workers.settings import Settings


def missing_for_dashboard() -> str:
    """What has to be installed before a dashboard can run, as a sentence; empty when nothing has."""
    if all(importlib.util.find_spec(name) for name in ("fastapi", "nicegui")):
        return ""
    return "the dashboard's packages are not installed; run: make install (or pip install -e '.[dashboard]')"


def show_dashboard(settings: Settings, out: Console) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Raises `UsageError` when packages lack, the address is taken, or it would be open to others without tokens.
    """
    if missing := missing_for_dashboard():
        raise UsageError(missing)
    from dashboards.application import serve
    from workers.ask import LateAsker

    with closing(LateAsker(settings)) as ask:
        serve(settings, lambda address: out.print(f"dashboard     {address}", highlight=False, soft_wrap=True), ask)
