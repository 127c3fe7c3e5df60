"""`voxpop escalate`: runs until it is told to stop, or once; and the report of what it changed."""

import json
import signal
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from workers.escalation.run import run_escalation
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.escalations import EscalationStore, Outcome


def show_escalate(settings: Settings, out: Console, *, once: bool, as_json: bool) -> None:
    """Escalates; SIGTERM and SIGINT end it after the round in hand. With `once` it says what came of it."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tally = run_escalation(settings, stop, once=once)
    if as_json:
        out.file.write(json.dumps(asdict(tally)) + "\n")
        return
    said = (
        f"{tally.asked:,} asked: {tally.changed:,} changed, {tally.confirmed:,} confirmed, {tally.refused:,} refused,"
    )
    more = f" · {tally.left:,} wait for workers" if tally.left else ""
    more += " · budget or breaker let no more by" if tally.held else ""
    line = f"{said} {tally.failed:,} failed · {tally.set_aside:,} set aside · {tally.applied:,} rows replaced{more}"
    out.print(line, highlight=False, markup=False, soft_wrap=True)


def show_report(settings: Settings, out: Console, *, as_json: bool) -> None:
    """What the calls of all time changed and took, by model. Raises `StoreUnavailable` or `StoreRefused`."""
    with connect(settings.clickhouse) as client:
        outcomes = EscalationStore(client, settings.clickhouse).report()
    if as_json:
        out.file.write(json.dumps([_document(outcome) for outcome in outcomes]) + "\n")
        return
    if not outcomes:
        out.print("nothing was escalated yet; start it with: voxpop escalate", highlight=False, soft_wrap=True)
        return
    _show_table(outcomes, out)
    for outcome in outcomes:
        out.print(f"{outcome.model}: {_worth(outcome)}", highlight=False, markup=False, soft_wrap=True)


def _document(outcome: Outcome) -> dict[str, Any]:
    figures = {"share_changed": _share_changed(outcome), "cost_per_change": _cost_per_change(outcome)}
    return outcome._asdict() | figures | {"worth": _worth(outcome)}


def _share_changed(outcome: Outcome) -> float | None:
    answered = outcome.changed + outcome.confirmed
    return round(outcome.changed / answered, 4) if answered else None


def _cost_per_change(outcome: Outcome) -> float | None:
    return round(outcome.cost / outcome.changed, 6) if outcome.changed else None


def _show_table(outcomes: Sequence[Outcome], out: Console) -> None:
    columns = ("Model", "Calls", "Changed", "Confirmed", "Refused", "Failed", "Tokens", "Cost", "A change")
    table = Table(*columns)
    for outcome in outcomes:
        share, cost = _share_changed(outcome), _cost_per_change(outcome)
        table.add_row(
            outcome.model,
            f"{outcome.calls:,}",
            f"{outcome.changed:,}" + (f" ({share:.0%})" if share is not None else ""),
            f"{outcome.confirmed:,}",
            f"{outcome.refused:,}",
            f"{outcome.failed:,}",
            f"{outcome.prompt_tokens + outcome.answer_tokens:,}",
            f"{outcome.cost:.4f}",
            "" if cost is None else f"{cost:.4f}",
        )
    out.print(table, markup=False)


def _worth(outcome: Outcome) -> str:
    """One sentence: whether people who looked at the changed labels side with the endpoint."""
    if not outcome.changed:
        return "it has changed no label, so it was not worth its cost so far"
    if not outcome.judged:
        return "nobody has looked at a changed label on the page Review yet, so whether it was worth it is not known"
    right = f"of {outcome.judged:,} changed labels that people looked at, the endpoint was right in"
    sides = f"{right} {outcome.endpoint_right:,}, the pack in {outcome.pack_right:,}"
    if outcome.endpoint_right > outcome.pack_right:
        return f"{sides}: it is worth it as far as they tell"
    return f"{sides}: it is not worth it as far as they tell"
