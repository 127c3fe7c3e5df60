"""A pack in use: its current version, exchanged for another between batches when one is promoted or rolled back.

The pointer's file is looked at once a second; a new version is read, verified and tried in a thread of its own while the old
one goes on. A batch holds the lock, so it is judged by one version from its first text to its last.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from schemas.insights import Analysis
from workers import metrics
from workers.analyze.judge import Judge, Request
from workers.analyze.known_answers import KnownAnswers
from workers.slm.errors import PackError
from workers.slm.packs import Pack
from workers.slm.versions import pointer_file

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
_Signature = tuple[int, int, int]
TRIED_WITH = Request("It works.")


class LivePack:
    """Judges with the current version of one pack. One thread judges; another, its own, watches and exchanges."""

    def __init__(
        self,
        load: Callable[[], Pack],
        judge_of: Callable[[Pack], Judge],
        packs_dir: Path,
        answers: KnownAnswers | None = None,
    ) -> None:
        """`load` gives the pack's current version, verified; what `answers` knows is not judged again. Raises `PackError`
        when the first version cannot be used."""
        self._load, self._judge_of, self._answers = load, judge_of, answers
        pack = load()
        self._judge = _tried(judge_of(pack), pack)
        self.name, self.version = pack.name, pack.version
        self._pointer = pointer_file(packs_dir, pack.name)
        self._seen: _Signature | None = None  # so that the first look sees what was promoted while we were loading
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"pack {pack.name}", daemon=True)
        metrics.PACK_VERSION.labels(pack.name, pack.version).set(1)

    def watch(self) -> "LivePack":
        """From now on promotions are followed."""
        self._thread.start()
        return self

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order, all by one version."""
        with self._lock:
            known, judge = self._answers, self._judge
            answers = judge.judge(requests) if known is None else known.judge(judge, requests)
        _count(answers, known)
        return answers

    @property
    def topical(self) -> bool:
        """Whether its analyses have topic vectors."""
        return self._judge.topical

    def close(self) -> None:
        """Ends the watching, then the model."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._judge.close()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            found = _signature(self._pointer)
            if found != self._seen:
                self._seen = found
                self._follow()

    def _follow(self) -> None:
        """A version that cannot be used is left alone until the pointer changes again."""
        try:
            pack = self._load()
            if pack.version == self.version:
                return
            judge = _tried(self._judge_of(pack), pack)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new version, the old one goes on
            cause = " ".join(str(error).split()) or type(error).__name__
            log.warning(
                "a pack's new version cannot be used; going on with the old one",
                pack=self.name,
                version=self.version,
                cause=cause,
            )
            return
        with self._lock:
            old, self._judge = self._judge, judge
            before, self.version = self.version, pack.version
        old.close()
        metrics.PACK_VERSION.remove(self.name, before)
        metrics.PACK_VERSION.labels(self.name, pack.version).set(1)
        log.info("a pack's new version judges from now on", pack=self.name, version=pack.version, before=before)


def _tried(judge: Judge, pack: Pack) -> Judge:
    """The judge, after it has answered once. Raises `PackError` when it cannot."""
    if judge.judge([TRIED_WITH]) == [None]:
        judge.close()
        raise PackError(
            f"the pack {pack.name} {pack.version} judges no text; go back: voxpop packs rollback {pack.name}"
        )
    return judge


def _count(answers: Sequence[Analysis | None], known: KnownAnswers | None) -> None:
    for route, texts in Counter(answer.route for answer in answers if answer).items():
        metrics.JUDGED.labels(str(route)).inc(texts)
    if known is not None:
        metrics.KNOWN_ANSWERS.set(len(known))
        metrics.KNOWN_ANSWERS_BYTES.set(known.bytes)


def _signature(pointer: Path) -> _Signature | None:
    """Changes when the file is replaced; None while there is none."""
    try:
        found = pointer.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
