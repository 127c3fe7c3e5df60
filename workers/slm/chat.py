"""A conversation's next turn: in pieces as it is written, up to a stop, or one label of each closed list.

Labels are not written but chosen: of each list the one that the model would go on with most likely, so that the answer is
always one of them, whatever the conversation says.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ctranslate2 import set_random_seed  # type: ignore[attr-defined]  # re-exported from its extension

from workers.errors import UsageError
from workers.slm.packs import Pack

Finish = Literal["stop", "length"]
UNFINISHED = "\ufffd"  # what a character decodes to of which only some bytes are there


class TooLong(UsageError):
    """The conversation leaves no room for an answer."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to answer: at most so many new tokens; the likeliest ones at temperature 0, else drawn, the same ones again with
    the same `seed`; ended before the first of `stop`."""

    new_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Piece(NamedTuple):
    """More of an answer. `tokens` were taken so far; the last piece says why the answer ended."""

    text: str
    tokens: int
    finish: Finish | None = None


class Chosen(NamedTuple):
    """An answer of labels, as JSON, and the tokens it takes."""

    text: str
    tokens: int


class Chat:
    """A generator pack that answers conversations. Threads may share one; `close` frees it."""

    def __init__(self, pack: Pack, at_once: int) -> None:
        """Loads the model, for so many answers at the same time. Raises `PackError` when the pack generates nothing."""
        self._pack, self._generator = pack, pack.generator(at_once)
        self._seeding = threading.Lock()
        self.name = pack.name

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[str]:
        """The tokens of turns (role, words). Raises `TooLong`."""
        tokens = self._generator.conversation(turns)
        if len(tokens) >= self._generator.shape.context_tokens:
            room = self._generator.shape.context_tokens
            raise TooLong(f"the messages take {len(tokens)} tokens, the model reads {room}; shorten them")
        return tokens

    def pieces(self, prompt: Sequence[str], wish: Wish) -> Iterator[Piece]:
        """The answer, piece by piece; the last one has a `finish`, and perhaps no text."""
        room = min(wish.new_tokens, self._generator.shape.context_tokens - len(prompt))
        ids: list[int] = []
        sent = ""
        for number in self._ids(prompt, room, wish):
            ids.append(number)
            said = self._generator.text(ids)
            if (end := _first(said, wish.stop)) is not None:
                yield Piece(said[len(sent) : end], len(ids), "stop")
                return
            sure = said[: len(said) - _held_back(said, wish.stop)]
            if len(sure) > len(sent):
                yield Piece(sure[len(sent) :], len(ids))
                sent = sure
        said = self._generator.text(ids)
        yield Piece(said[len(sent) :], len(ids), "length" if len(ids) >= room else "stop")

    def chosen(self, prompt: Sequence[str], labels: Mapping[str, Sequence[str]]) -> Chosen:
        """A JSON object that has one of its labels under each name. Raises `TooLong`."""
        written: list[str] = []
        answer: dict[str, str] = {}
        for place, (name, choices) in enumerate(labels.items()):
            written += self._generator.tokens(f'{", " if place else "{"}{json.dumps(name, ensure_ascii=False)}: "')
            ends = [self._generator.tokens(json.dumps(label, ensure_ascii=False)[1:]) for label in choices]
            if len(prompt) + len(written) + max(map(len, ends)) > self._generator.shape.context_tokens:
                raise TooLong("the messages and the labels are longer than what the model reads; shorten them")
            shares = self._generator.log_probabilities([*prompt, *written], ends)
            best = shares.index(max(shares))
            written += ends[best]
            answer[name] = choices[best]
        return Chosen(json.dumps(answer, ensure_ascii=False), len(written) + 1)

    def close(self) -> None:
        """Free the model."""
        self._generator.close()

    def _ids(self, prompt: Sequence[str], room: int, wish: Wish) -> Iterator[int]:
        if not wish.temperature or wish.seed is None:
            yield from self._generator.continued(prompt, room, wish.temperature)
            return
        # By a model of its own: a thread of CTranslate2 takes its seed when it first draws, and never again.
        with self._pack.generator(1) as fresh:
            drawn = fresh.continued(prompt, room, wish.temperature)
            with self._seeding:
                set_random_seed(wish.seed % 2**32)
                first = next(drawn, None)
            if first is not None:
                yield first
            yield from drawn


def _first(said: str, stop: Sequence[str]) -> int | None:
    return min((place for mark in stop if (place := said.find(mark)) >= 0), default=None)


def _held_back(said: str, stop: Sequence[str]) -> int:
    """How many of the last characters may still become something else: a stop that has begun, half a character."""
    begun = [length for mark in stop for length in range(1, len(mark)) if said.endswith(mark[:length])]
    return max([*begun, len(said) - len(said.rstrip(UNFINISHED))])
