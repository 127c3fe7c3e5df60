"""`voxpop escalate`: builds the parts that the settings ask for, and goes round until it is told to stop."""

import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import Final

import structlog

from schemas.insights import Position
from workers.escalation.asking import need_endpoint
from workers.escalation.breaker import Breaker
from workers.escalation.endpoint import Endpoint
from workers.escalation.escalation import Escalation, Tally
from workers.health import Probes, serving
from workers.reprocess import InPlace
from workers.settings import EscalationSettings, Settings
from workers.store.connect import StoreUnavailable, connect
from workers.store.escalations import EscalationStore
from workers.store.pages import Pages
from workers.store.query import Reader
from workers.store.server_clock import ServerClock
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.connect import BrokerUnavailable
from workers.stream.finished import FinishedBlocks

log = structlog.get_logger(__name__)

NICE: Final = 10
STUCK_AFTER_S: Final = 300.0  # beyond a call's deadline: rows are looked for, written and waited for in between


def run_escalation(settings: Settings, stop: threading.Event, *, once: bool) -> Tally:
    """Escalates until `stop` is set, or with `once` until nothing is left to ask or nothing may be asked. ClickHouse or a
    broker that is away is waited for, unless `once`. Raises `UsageError` when no endpoint is configured, `StoreRefused`."""
    chosen = settings.escalation
    need_endpoint(chosen)
    if not once:
        os.nice(NICE)
    with _escalation(settings) as escalation:
        away = threading.Event()  # ClickHouse or a broker
        stuck_s = chosen.timeout_s + STUCK_AFTER_S
        probes = Probes(lambda: time.monotonic() - escalation.last_step < stuck_s, lambda: not away.is_set())
        log.info("escalation started", endpoint=chosen.base_url, model=chosen.model, below=chosen.confidence_below)
        with serving(probes, chosen.http_host, chosen.http_port):
            _go_round(escalation, chosen, stop, away, once=once)
        return escalation.tally


def _go_round(
    escalation: Escalation, chosen: EscalationSettings, stop: threading.Event, away: threading.Event, *, once: bool
) -> None:
    while not stop.is_set():
        try:
            done = escalation.round()
            away.clear()
        except (StoreUnavailable, BrokerUnavailable) as error:
            if once:
                raise
            log.warning("trying again", cause=str(error))
            away.set()
            done = 0
        if once and not done:
            break
        if done:
            log.info("escalated", **_counts(escalation.tally))
        else:
            stop.wait(chosen.poll_s)


@contextmanager
def _escalation(settings: Settings) -> Iterator[Escalation]:
    """With connections of its own. Pages that another program left staged are written first."""
    store, chosen = settings.clickhouse, settings.escalation

    def finished(positions: Collection[Position]) -> set[Position]:
        with closing(FinishedBlocks(settings.kafka)) as blocks:  # anew: it knows the topics of when it was made
            return blocks.among(positions)

    with connect(store) as client:
        check_windows(deduplication_windows(client, store), store)
        clock = ServerClock(client, store, now_s)
        pages = Pages(Reader(client, store), Writer(client, store), clock, store)
        for page in pages.staged():
            pages.complete(page)
        breaker = Breaker(chosen.breaker_failures, chosen.breaker_pause_s, time.monotonic)
        yield Escalation(
            EscalationStore(client, store), Endpoint(chosen), InPlace(pages, finished), breaker, chosen, clock.now
        )


def _counts(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in ("asked", "changed", "confirmed", "refused", "failed", "applied")}
