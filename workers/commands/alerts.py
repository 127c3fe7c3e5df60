"""`voxpop alerts replay`: judges a file and prints what alerts would have come of it, and how far to trust those."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.alerts import Alert
from schemas.events import InvalidMessage, decode_json, validate_event
from schemas.insights import Insight
from schemas.samples import PLANTED, sample_messages
from workers.alerting.notify import sentence
from workers.alerting.replay import Replayed, Shuffled, delay_windows, replay, shuffled
from workers.alerting.text import AlertText, from_insight, hour_of
from workers.analyze.disguise import SafeEvent
from workers.errors import UsageError
from workers.settings import Settings
from workers.stream.files import EventFile, RowMapping
from workers.stream.produce import Outgoing
from workers.worker import build_judge

BATCH = 512


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What the command line asked for. `file` None is the sample stream. `shuffle` counts rounds; `days` is for them."""

    file: Path | None
    mapping: RowMapping
    shuffle: int
    days: int | None
    seed: int


def show_replay(settings: Settings, request: ReplayRequest, out: Console, err: Console, *, as_json: bool) -> None:
    """Raises `UsageError` when the file cannot be read or holds no usable text."""
    messages: Iterable[Outgoing | Any]
    messages = sample_messages() if request.file is None else EventFile(request.file, request.mapping)
    texts = _judged(settings, messages, err)
    if not texts:
        raise UsageError(f"{request.file} holds no text that could be used; voxpop up --input {request.file} says why")
    found = replay(texts, settings.alerts)
    lots = None
    if request.shuffle:
        lots = shuffled(texts, settings.alerts, rounds=request.shuffle, days=request.days, seed=request.seed)
    document = _document(settings, texts, found, lots, planted=request.file is None)
    if as_json:
        out.file.write(json.dumps(document) + "\n")
        return
    _print(document, found.alerts, out)


def _judged(settings: Settings, messages: Iterable[Any], err: Console) -> list[AlertText]:
    """Each event's newest version as a text of alerts, in the order in which the events came."""
    judge = build_judge(settings)
    texts: dict[str, AlertText] = {}
    now = datetime.now(UTC)

    def take(events: list[tuple[str, SafeEvent]]) -> None:
        for (topic, event), analysis in zip(events, judge.judge_events([event for _, event in events]), strict=True):
            if analysis is not None:
                text = from_insight(_insight(topic, event, dict(analysis), now))
                texts[text.key] = text

    try:
        waiting: list[tuple[str, SafeEvent]] = []
        for message in messages:
            try:
                document = decode_json(message.value, max_bytes=settings.kafka.max_message_bytes)
                waiting.append((message.topic, judge.disguise(validate_event(document))))
            except InvalidMessage:
                continue
            if len(waiting) == BATCH:
                take(waiting)
                waiting = []
                if err.is_terminal:
                    err.print(f"{len(texts):,} texts judged", highlight=False)
        take(waiting)
    finally:
        judge.close()
    return list(texts.values())


def _insight(topic: str, event: SafeEvent, analysis: dict[str, Any], now: datetime) -> Insight:
    return Insight(
        **analysis,
        topic=topic,
        partition=0,
        offset=0,
        event_id=event.event_id,
        kind=event.kind,
        source=event.source,
        product=event.product,
        event_time=event.event_time,
        ingested_at=now,
    )


def _document(
    settings: Settings, texts: Sequence[AlertText], found: Replayed, lots: Shuffled | None, *, planted: bool
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "texts": len(texts),
        "products": len({text.product for text in texts}),
        "window_hours": settings.alerts.window_hours,
        "windows_tested": found.windows,
        "alerts": [json.loads(alert.model_dump_json()) for alert in found.alerts],
    }
    if planted:
        began = hour_of(PLANTED.began)
        size = settings.alerts.window_hours
        document["planted"] = {
            "product": PLANTED.product,
            "began": PLANTED.began.isoformat(),
            "delay_windows": delay_windows(found.alerts, PLANTED.product, began, size),
            "other_alerts": sum(alert.product != PLANTED.product for alert in found.alerts),
        }
    if lots is not None:
        document["shuffled"] = {
            "rounds": lots.rounds,
            "days_tested": lots.days,
            "false_alarms": lots.false_alarms,
            "false_alarms_by_kind": lots.by_kind,
            "false_alarms_per_day": round(lots.false_alarms_per_day, 4),
            "stated_per_day": settings.alerts.false_alarms_per_day,
            "planted": lots.planted,
            "found": len(lots.delays_windows),
            "median_delay_windows": median(lots.delays_windows) if lots.delays_windows else None,
        }
    return document


def _print(document: dict[str, Any], alerts: Sequence[Alert], out: Console) -> None:
    out.print(
        f"{document['texts']:,} texts of {document['products']} products, windows of {document['window_hours']} h, "
        f"{document['windows_tested']:,} of them with enough of a past · {len(alerts)} alerts",
        highlight=False,
    )
    for alert in alerts:
        out.print(f"  {sentence(alert)}", highlight=False, markup=False, soft_wrap=True)
    if planted := document.get("planted"):
        delay = planted["delay_windows"]
        told = "not found" if delay is None else f"told at the end of window {delay}"
        out.print(
            f"planted: {planted['product']} from {planted['began']}: {told}; {planted['other_alerts']} other alerts",
            highlight=False,
        )
    if lots := document.get("shuffled"):
        table = Table("Shuffled in time", "", title_justify="left", show_header=True)
        table.add_row("rounds · days tested in all", f"{lots['rounds']} · {lots['days_tested']:,.0f}")
        kinds = ", ".join(f"{kind} {count}" for kind, count in lots["false_alarms_by_kind"].items())
        table.add_row("false alarms", f"{lots['false_alarms']}{f' ({kinds})' if kinds else ''}")
        table.add_row(
            "false alarms a day", f"{lots['false_alarms_per_day']:.3f} (stated: at most {lots['stated_per_day']})"
        )
        delay = lots["median_delay_windows"]
        table.add_row("planted incidents found", f"{lots['found']} of {lots['planted']}")
        table.add_row("median delay", "–" if delay is None else f"{delay:g} windows")
        out.print(table)
