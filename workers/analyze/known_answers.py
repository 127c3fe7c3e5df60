"""Never judge a text twice: answers remembered by all they depend on, the least recently used given up first."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from schemas.insights import Analysis, Route
from workers.analyze.judge import Request

# Of what is held for a text beside its characters. Seen on 200 of our own texts: 3.5 kB in all, at 1.2 aspects a text.
FIXED_BYTES, ASPECT_BYTES = 3_000, 800
_Key = tuple[str, Request]


class IdentifiedJudge(Protocol):
    """A judge whose `identity` is another one whenever it might answer otherwise."""

    identity: str

    def judge(self, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order; None where no model could judge the text."""


class KnownAnswers:
    """Answers with `route` cache what was answered before. Threads, and judges of several packs, may share one.

    A text is known when the redacted text, title, language and aspects asked for are the same to the last character, and
    its judge has the same identity: so evidence fits it, and no answer outlives a promotion. Nothing is normalised: a space
    more moves tokens and evidence. Its redactions are its own, for they may lie outside the text.
    """

    def __init__(self, entries: int, max_bytes: int) -> None:
        """Holds at most so many, of about so many bytes in all."""
        self._entries, self._max_bytes = entries, max_bytes
        self._held: OrderedDict[_Key, Analysis] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def judge(self, judge: IdentifiedJudge, requests: Sequence[Request]) -> list[Analysis | None]:
        """One analysis a request, in order, as `judge` would give it. Equal requests among these are judged once, too."""
        keys = [_key_of(judge.identity, request) for request in requests]
        answers: dict[_Key, Analysis | None] = dict(self._found(keys))
        unknown: dict[_Key, Request] = {}
        for key, request in zip(keys, requests, strict=True):
            if key not in answers:
                unknown.setdefault(key, request)
        fresh = dict(zip(unknown, judge.judge(list(unknown.values())), strict=True))
        self._keep(fresh)
        given: list[Analysis | None] = []
        for key, request in zip(keys, requests, strict=True):
            if key in fresh:
                answers[key] = fresh.pop(key)
                given.append(answers[key])
            else:
                given.append(_again(answers[key], request))
        return given

    def _found(self, keys: Sequence[_Key]) -> dict[_Key, Analysis]:
        with self._lock:
            found = {key: self._held[key] for key in keys if key in self._held}
            for key in found:
                self._held.move_to_end(key)
        return found

    def _keep(self, fresh: dict[_Key, Analysis | None]) -> None:
        """What no model could judge is not kept: the next try may pass."""
        with self._lock:
            for key, analysis in fresh.items():
                if analysis is not None and key not in self._held:
                    self._held[key] = analysis
                    self.bytes += _bytes_of(key, analysis)
            while len(self._held) > self._entries or self.bytes > self._max_bytes:
                self.bytes -= _bytes_of(*self._held.popitem(last=False))


def _bytes_of(key: _Key, analysis: Analysis) -> int:
    """About what they take in memory; they share the text."""
    request = key[1]
    return (
        FIXED_BYTES + ASPECT_BYTES * len(analysis.aspects) + sys.getsizeof(request.text) + sys.getsizeof(request.title)
    )


def _key_of(identity: str, request: Request) -> _Key:
    """All of a request counts but what only routes it, and what was taken out of its event."""
    return identity, replace(request, product="", source="", redactions=())


def _again(analysis: Analysis | None, request: Request) -> Analysis | None:
    if analysis is None:
        return None
    return analysis.model_copy(update={"route": Route.CACHE, "redactions": dict(request.redactions)})
