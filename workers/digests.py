"""`voxpop digests`: per product and window of time, a few sentences on what was said, written to ClickHouse with citations.

    which windows have changed? -> their texts -> sentences that pass the guardrails -> one insert under its token

Nothing is kept between two windows but what ClickHouse holds, so the process may die anywhere: a window whose digest is
not stored is seen again, and one that is stored is not. The content depends on the texts and the pack alone, and the
insert has a token made of both, so a repeated insert changes nothing. Texts that come late change the window's
fingerprint: it gets a new revision. A digest whose texts are erased while it is made is not stored, but made anew
(`workers/store/written_days.py`). It runs at low priority and rests after each digest, so that the worker has the cores.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from workers.analyze.summary import Length, Summarizer
from workers.analyze.support import Reader
from workers.failpoints import failpoint
from workers.settings import DigestSettings, Settings
from workers.slm.build import ensure_pack
from workers.store.connect import StoreUnavailable, connect
from workers.store.digests import SECONDS, DigestRow, DigestStore, PendingWindow, WindowText
from workers.store.query import EventKey
from workers.store.written_days import ProductDay, WrittenDays
from workers.stream.blocks import now_s
from workers.summary_author import author_of

log = structlog.get_logger(__name__)

NICE: Final = 10
MOST_TEXTS: Final = 300  # of a window that are read, the latest; all are counted
LEAST_SENTENCES: Final = 2
FAILED_PAUSE_S: Final = 5.0
MOST_MAKINGS: Final = 3  # of a digest whose texts go while it is made


class Digester:
    """Writes the digests that are missing."""

    def __init__(
        self,
        store: DigestStore,
        written: WrittenDays,
        summarizer: Summarizer,
        pack: tuple[str, str],
        settings: DigestSettings,
    ) -> None:
        """`pack` is the name and version that digests are said to be made by."""
        self._store, self._written, self._summarizer = store, written, summarizer
        self._pack, self._settings = pack, settings
        self._attempts: Counter[PendingWindow] = Counter()

    def pending(self) -> list[PendingWindow]:
        """The windows, of each kind that the settings name, whose digest is missing or out of date."""
        chosen = self._settings
        return [
            window
            for kind in chosen.windows
            for window in self._store.pending(SECONDS[kind], chosen.min_texts, chosen.lookback_days, self._pack)
        ]

    def write(self, window: PendingWindow) -> DigestRow:
        """Makes and stores the digest of a window, anew when texts of it are erased meanwhile.

        Raises `StoreUnavailable` or `StoreRefused`; then it may be repeated.
        """
        for _ in range(MOST_MAKINGS):
            texts, before = self._read(window)
            row = self._made(window, texts, before)
            failpoint("digest-made")
            if not self._stored(row, {*map(_key_of, texts), *map(_key_of, before)}):
                continue
            self._attempts[window] += (
                1  # when it is still missing afterwards, ClickHouse had noted the token and lost the part
            )
            failpoint("digest-stored")
            return row
        raise StoreUnavailable(f"texts of {window.product} go faster than a digest of them is made; run this again")

    def _read(self, window: PendingWindow) -> tuple[list[WindowText], list[WindowText]]:
        """The texts of a window and of the one before."""
        earlier = window.start - timedelta(seconds=window.seconds)
        before = self._store.texts(window.product, earlier, window.seconds)
        return self._store.texts(window.product, window.start, window.seconds), before

    def _stored(self, row: DigestRow, made_of: set[EventKey]) -> bool:
        """Whether it is: not when one of the texts that it was made of is gone."""
        window = row.window
        first = (window.start - timedelta(seconds=window.seconds)).astimezone(UTC).date()
        last = (window.start + timedelta(seconds=window.seconds - 1)).astimezone(UTC).date()
        days = [ProductDay(window.product, first + timedelta(days=n)) for n in range((last - first).days + 1)]

        def still_there(_: Collection[ProductDay]) -> bool:
            return made_of <= {_key_of(text) for texts in self._read(window) for text in texts}

        return self._written.store(
            lambda: days, still_there, lambda until: self._store.insert(row, until, self._attempts[window])
        )

    def _made(self, window: PendingWindow, texts: Sequence[WindowText], before: Sequence[WindowText]) -> DigestRow:
        own = _one_of_each_author(texts)[:MOST_TEXTS] if window.texts >= self._settings.min_texts else []
        length = Length(self._settings.words, self._settings.sentences)
        said, said_before = [text.text for text in own], [text.text for text in before]
        summary = self._summarizer.summarize(said, length, window.product, said_before)
        sentences = summary.sentences if len(summary.sentences) >= LEAST_SENTENCES else ()
        cited = [[(own[i].source, own[i].event_id) for i in sentence.citations] for sentence in sentences]
        return DigestRow(
            window,
            [sentence.text for sentence in sentences],
            cited,
            [sentence.support for sentence in sentences],
            [sentence.quoted for sentence in sentences],
            summary.method if sentences else "none",
            *self._pack,
        )


def run_digests(
    settings: Settings,
    stop: threading.Event,
    *,
    once: bool,
    on_digest: Callable[[DigestRow], None],
    limit: int | None = None,
) -> int:
    """Writes digests until `stop` is set, or with `once` until none is missing; gives back how many. ClickHouse that is
    away is waited for, unless `once`. Raises `StoreRefused`, `PackError`."""
    if not once:
        os.nice(NICE)
    chosen = settings.digests
    pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir, choice=settings.model.base_source)
    written = 0
    with (
        closing(pack.encoder(1)) as encoder,
        connect(settings.clickhouse) as client,
        author_of(settings, replicas=1) as author,
    ):
        made_by = (pack.name, pack.version)
        if author is not None:
            made_by = (f"{pack.name} {author.pack}", f"{pack.version} {author.version}")
        summarizer = Summarizer(Reader(encoder, pack.heads), author)
        written_days = WrittenDays(client, settings.clickhouse, now_s)
        digester = Digester(DigestStore(client, settings.clickhouse), written_days, summarizer, made_by, chosen)
        log.info("digests started", pack=pack.name, version=pack.version, windows=chosen.windows)
        while not stop.is_set():
            try:
                for window in _due(digester.pending(), chosen, once=once)[:limit]:
                    began_s = time.monotonic()
                    on_digest(digester.write(window))
                    written += 1
                    if stop.wait(0 if once else _rest_s(time.monotonic() - began_s, chosen.cpu_share)):
                        break
            except StoreUnavailable as error:
                if once:
                    raise
                log.warning("trying again", cause=str(error))
                stop.wait(FAILED_PAUSE_S)
                continue
            if once:
                break
            stop.wait(chosen.poll_s)
    log.info("digests stopped", written=written)
    return written


def _due(pending: Sequence[PendingWindow], settings: DigestSettings, *, once: bool) -> list[PendingWindow]:
    """Those that were not written a moment ago: a window that is still filling would be written for every text."""
    now_s = datetime.now(UTC).timestamp()
    return [w for w in pending if once or not w.revision or now_s - w.made_at.timestamp() >= settings.refresh_s]


def _rest_s(busy_s: float, share: float) -> float:
    """How long to rest after so many busy seconds, to be busy for this share of the time."""
    return busy_s * (1 / share - 1)


def _key_of(text: WindowText) -> EventKey:
    return EventKey(text.source, text.event_id)


def _one_of_each_author(texts: Sequence[WindowText]) -> list[WindowText]:
    """Each author's latest text, so that no one counts for many; texts without an author are all kept. The oldest first."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for text in texts:
        author = (text.source, text.author)
        if not text.author or author not in seen:
            kept.append(text)
        seen.add(author)
    return kept[::-1]
