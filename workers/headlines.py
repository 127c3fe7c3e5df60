"""`voxpop headlines`: generated headlines for stored texts that are long or urgent, within a budget of tokens.

    which rows? -> set aside texts that give orders -> write -> check each against its own text -> note -> put in place

A program of its own that reads what workers have written, so that no insight waits for it. A row is replaced as
`voxpop reprocess` does it (`workers/store/pages.py`): exactly once, aggregates and all. A headline that fails a check is
noted and not tried again by this generator; its row stays as it is. Whoever dies where, the next run finds the rows that
still say otherwise and writes the same again.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from schemas.insights import Method, Position
from workers.analyze.headline_author import HeadlineAuthor, Written
from workers.analyze.instructions import addresses_machine
from workers.analyze.support import Reader as TextReader
from workers.errors import UsageError
from workers.failpoints import failpoint
from workers.reprocess import InPlace
from workers.settings import Settings
from workers.slm.build import ensure_pack
from workers.store.connect import StoreUnavailable, connect
from workers.store.headlines import HeadlineStore, Writing
from workers.store.pages import Pages
from workers.store.query import Reader
from workers.store.rejudged import Rejudged
from workers.store.selection import Row
from workers.store.server_clock import ServerClock
from workers.store.stored_insight import stored_insight
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.connect import BrokerUnavailable
from workers.stream.finished import FinishedBlocks

log = structlog.get_logger(__name__)

NICE: Final = 10
BATCH: Final = 8
GIVES_ORDERS: Final = Written("", ("gives_orders",), 0)


@dataclass(slots=True)
class Tally:
    """What came of a run, in texts: `passed` headlines that were written and checked, `refused` ones, and those set aside
    unread among them; `applied` rows have theirs, `left` are in the hands of workers. `tokens` were generated."""

    total: int = 0
    passed: int = 0
    refused: int = 0
    set_aside: int = 0
    applied: int = 0
    left: int = 0
    tokens: int = 0


class Author(Protocol):
    """Who writes: see `HeadlineAuthor`."""

    def write(self, texts: Sequence[str]) -> list[Written]: ...


class Headlines:
    """One thread at a time. `made_by`: the generator's name and version."""

    def __init__(self, store: HeadlineStore, author: Author, in_place: InPlace, made_by: tuple[str, str]) -> None:
        self._store, self._author, self._in_place, self._made_by = store, author, in_place, made_by
        self.tally = Tally()

    def round(self) -> int:
        """Writes about some rows and puts in place what passed; how many rows are done with.

        Raises `StoreUnavailable`, `StoreRefused` or `BrokerUnavailable`; the next round then goes on.
        """
        rows = self._store.wanted(BATCH)
        if not rows:
            return 0
        written = self._written(rows)
        self._store.note([self._writing(row, each) for row, each in zip(rows, written, strict=True)])
        failpoint("headlines-noted")
        applied = self._put([(row, each) for row, each in zip(rows, written, strict=True) if not each.failed])
        refused = sum(bool(each.failed) for each in written)
        tally = self.tally
        tally.passed += len(rows) - refused
        tally.refused += refused
        tally.set_aside += written.count(GIVES_ORDERS)
        tally.applied += applied
        tally.tokens += sum(each.tokens for each in written)
        return refused + applied

    def _written(self, rows: Sequence[Row]) -> list[Written]:
        """What was written of each row; nothing of a text that gives orders to machines."""
        safe = [not addresses_machine(f"{row['title']}\n{row['text']}") for row in rows]
        answers = iter(self._author.write([row["text"] for row, fit in zip(rows, safe, strict=True) if fit]))
        return [next(answers) if fit else GIVES_ORDERS for fit in safe]

    def _writing(self, row: Row, written: Written) -> Writing:
        outcome = f"refused:{'+'.join(written.failed)}" if written.failed else "passed"
        event = (row["source"], row["event_id"], row["content_hash"])
        return Writing(*event, *self._made_by, written.tokens, outcome)

    def _put(self, passed: Sequence[tuple[Row, Written]]) -> int:
        """Puts rows with their headlines in place, a page a month; how many."""
        pages: dict[tuple[int, int], list[Rejudged]] = {}
        for row, written in passed:
            said = {"headline": written.headline, "method": Method.ABSTRACTIVE}
            new = Rejudged(stored_insight(row).model_copy(update=said), row["judged"] + 1)
            pages.setdefault((new.event_time.year, new.event_time.month), []).append(new)
        applied = self.tally.left = 0
        for rows in pages.values():
            applied += self._in_place.put(rows)
            self.tally.left += self._in_place.left
        return applied


def run_headlines(
    settings: Settings, stop: threading.Event, *, once: bool, on_progress: Callable[[Tally], None]
) -> Tally:
    """Writes until `stop` is set, or with `once` until no text is left. ClickHouse or a broker that is away is waited for,
    unless `once`. Raises `UsageError` when no generator is configured, `PackError`, `StoreRefused`."""
    chosen = settings.headlines
    if chosen.generator is None:
        raise UsageError("no generator is configured, so headlines stay the authors'; set VOXPOP_HEADLINES__GENERATOR")
    if not once:
        os.nice(NICE)
    with _headlines(settings, chosen.generator) as (headlines, store):
        log.info("headlines started", generator=chosen.generator, min_chars=chosen.min_chars, urgency=chosen.urgency)
        while not stop.is_set():
            began_s, before = time.monotonic(), headlines.tally.tokens
            try:
                if once and not headlines.tally.total:
                    headlines.tally.total = store.left()
                done = headlines.round()
            except (StoreUnavailable, BrokerUnavailable) as error:
                if once:
                    raise
                log.warning("trying again", cause=str(error))
                done = 0
            if once and not done:
                break
            if done:
                on_progress(headlines.tally)
            generated, taken_s = headlines.tally.tokens - before, time.monotonic() - began_s
            stop.wait(rest_s(generated, taken_s, chosen.tokens_per_s) if done else chosen.poll_s)
        return headlines.tally


def rest_s(tokens: int, taken_s: float, tokens_per_s: float) -> float:
    """How long to rest after so many tokens in so many seconds, so that no more than that many come a second."""
    return max(0.0, tokens / tokens_per_s - taken_s)


@contextmanager
def _headlines(settings: Settings, name: str) -> Iterator[tuple[Headlines, HeadlineStore]]:
    """With a generator, an encoder and connections of its own. Pages that another program left staged are written first."""
    model, connecting = settings.model, settings.clickhouse
    packs = (settings.packs_dir, settings.cache_dir)
    pack = ensure_pack(model.pack, *packs, choice=model.base_source)
    decoder = ensure_pack(name, *packs, choice=model.base_source)

    def finished(positions: Collection[Position]) -> set[Position]:
        with closing(FinishedBlocks(settings.kafka)) as blocks:  # anew: it knows the topics of when it was made
            return blocks.among(positions)

    with (
        decoder.generator(1) as generator,
        closing(pack.encoder(1)) as encoder,
        connect(connecting) as client,
    ):
        check_windows(deduplication_windows(client, connecting), connecting)
        clock = ServerClock(client, connecting, now_s)
        pages = Pages(Reader(client, connecting), Writer(client, connecting), clock, connecting)
        for page in pages.staged():
            pages.complete(page)
        made_by = (decoder.name, decoder.version)
        store = HeadlineStore(client, connecting, settings.headlines, made_by, decoder.card.languages)
        author = HeadlineAuthor(generator, TextReader(encoder, pack.heads))
        yield Headlines(store, author, InPlace(pages, finished), made_by), store
