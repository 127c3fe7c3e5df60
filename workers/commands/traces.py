"""`voxpop traces build`: texts with gold or without, what a larger model says of them, and a training set of what agrees."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from schemas.insights import SentimentLabel
from workers.analyze.instructions import addresses_machine
from workers.commands.audit import note_or_say
from workers.errors import UsageError
from workers.escalation.asking import asking, need_endpoint
from workers.escalation.trace_journal import Item, Journal, Request
from workers.escalation.trace_set import card_path, write_set
from workers.escalation.traces import TraceWish, Tracing
from workers.settings import Settings
from workers.slm.packs import read_card
from workers.slm.versions import pack_path
from workers.store.audit import EXPORTED
from workers.store.connect import connect
from workers.store.feedback import corrected_texts
from workers.store.query import Reader
from workers.store.sampled import sampled_texts
from workers.stream.labelled_file import LabelledColumns, read_labelled
from workers.worker import build_redactor

LABELS = tuple(get_args(SentimentLabel))
Drawn = tuple[list[Item], tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class TracesRequest:
    """What the command line asked for. Texts are those of `labelled`, people's corrections, or drawn from what is stored."""

    file: Path
    labelled: Path | None
    columns: LabelledColumns
    feedback: bool
    texts: int
    votes: int
    seed: int


def show_traces(settings: Settings, request: TracesRequest, out: Console, err: Console, *, as_json: bool) -> None:
    """Asks, and writes the training set of what agrees so far, with its card. Raises `UsageError` without an endpoint or
    texts, and what the store raises; run again, it goes on."""
    need_endpoint(settings.escalation)
    if request.labelled is not None and request.feedback:
        raise UsageError("give either --labelled FILE or --feedback: both are gold")
    if not request.votes % 2:
        raise UsageError(f"--votes {request.votes}: an even number may be split evenly; take an odd one")
    if not request.file.parent.is_dir():
        raise UsageError(f"{request.file} cannot be written (no such directory); name another file")
    redactor = build_redactor(settings)

    def redact(text: str) -> str:
        return redactor.redact(text).text

    items, labels, source = _drawn(settings, request, redact)
    asked = _asked(settings, request, labels, source)
    path = request.file.with_name(request.file.name + ".journal")
    journal = Journal.opened(path, asked)
    if journal is None:
        sent, aside = _without_orders(items)
        if not sent:
            raise UsageError("there is no text to ask about; take others")
        journal = Journal.begun(path, asked | {"texts": len(sent), "set_aside": aside}, sent)
    with asking(settings) as asker, _progress(err) as on_text:
        wish = TraceWish(settings.escalation.model, labels, request.votes, request.seed, settings.escalation.max_chars)
        tracing = Tracing(asker, journal, wish, redact)
        tally = tracing.run(on_text)
    write_set(request.file, list(tracing.traces()), journal, tally, settings.escalation.base_url or "")
    if request.labelled is None:
        note_or_say(settings, EXPORTED, {"traces": str(tally.kept), "texts": str(len(journal.items))}, err)
    if as_json:
        took = {"calls": asker.calls, "tokens": asker.tokens, "cost": asker.cost}
        out.file.write(json.dumps(asdict(tally) | took) + "\n")
        return
    said = f"{tally.kept} of {len(journal.items)} texts have a trace that agrees: {request.file}, {card_path(request.file)}"
    more = f" · {tally.failed} calls failed" if tally.failed else ""
    more += f" · the {tally.held} let no more by" if tally.held else ""
    more += f" · {tally.left} texts are left: run it again" if tally.left else ""
    out.print(said + more, highlight=False, markup=False, soft_wrap=True)


def _drawn(settings: Settings, request: TracesRequest, redact: Callable[[str], str]) -> Drawn:
    """The texts, redacted, each once; the labels; and where they come from."""
    card = read_card(pack_path(settings.packs_dir, settings.model.pack))
    named = {"pack": card.name, "pack_version": card.version}
    if request.labelled is not None:
        file = read_labelled(request.labelled, request.columns)
        rows = {redact(row.text): row.labels[0] for row in file.rows[: request.texts] if len(row.labels) == 1}
        items = [Item(text=text, gold=gold, **named) for text, gold in rows.items()]
        return items, tuple(sorted(file.counts())), f"{file.path.name} {file.sha256}"
    with connect(settings.clickhouse) as client:
        reader = Reader(client, settings.clickhouse)
        if request.feedback:
            gold_of = {_joined(c.title, c.text): c.label for c in corrected_texts(reader, "sentiment")}
            items = [Item(text=text, gold=gold, **named) for text, gold in list(gold_of.items())[: request.texts]]
            return items, LABELS, "feedback"
        drawn = sampled_texts(reader, request.seed, request.texts)
    items = [Item(text=_joined(s.title, s.text), gold=None, pack=s.pack, pack_version=s.pack_version) for s in drawn]
    return items, LABELS, "stored texts"


def _asked(settings: Settings, request: TracesRequest, labels: tuple[str, ...], source: str) -> Request:
    """What a run has to share with those before it."""
    return {
        "model": settings.escalation.model,
        "labels": list(labels),
        "source": source,
        "votes": request.votes,
        "seed": request.seed,
        "texts": 0,
        "set_aside": 0,
    }


def _without_orders(items: list[Item]) -> tuple[list[Item], int]:
    sent = [item for item in items if not addresses_machine(item.text)]
    return sent, len(items) - len(sent)


def _joined(title: str, text: str) -> str:
    return f"{title}\n{text}" if title else text


@contextmanager
def _progress(err: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    with Progress(TextColumn("asking"), BarColumn(), console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("asking")
        yield lambda done, of: bar.update(task, completed=done, total=of)
