"""What `voxpop traces build` has asked and been answered, on disk before anything else is done: it is never paid for again.

JSON lines: the request, the texts that were drawn, then an answer a line, each synced.
"""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.errors import UsageError
from workers.slm.durable import replace_text

Request = dict[str, Any]
SAME = ("model", "labels", "source", "votes", "seed")  # of a request, in every run


class Item(BaseModel):
    """A text that was drawn, redacted. `gold` is what people say it is, if they do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    gold: str | None
    pack: str
    pack_version: str


class Answer(BaseModel):
    """What came of a question about item number `item`, in its `vote`: reasons, the label after them, or why neither could
    be taken. `tokens` and `cost` are what the call took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: int
    vote: int
    reasoning: str | None = None
    label: str | None = None
    refused: str | None = None
    tokens: int = 0
    cost: float = 0.0


class Journal:
    """Of one training set. `items` and `answers` are what is in it."""

    def __init__(self, path: Path, request: Request, items: Sequence[Item], answers: Sequence[Answer]) -> None:
        self.path, self.request, self.items = path, request, list(items)
        self.answers: list[Answer] = []
        self._of: dict[tuple[int, int], list[Answer]] = defaultdict(list)
        for answer in answers:
            self._take(answer)

    @classmethod
    def begun(cls, path: Path, request: Request, items: Sequence[Item]) -> Self:
        """A new one, on disk."""
        lines = [json.dumps({"request": request}), *(item.model_dump_json() for item in items)]
        replace_text(path, "\n".join(lines) + "\n")
        return cls(path, request, items, ())

    @classmethod
    def opened(cls, path: Path, request: Request) -> Self | None:
        """The one that is there, less a last line that its writer died at; None when there is none. Raises `UsageError` when
        it is of another request, or no journal."""
        if not path.is_file():
            return None
        whole = path.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        head, *lines = kept.decode("utf-8", "replace").split("\n")[:-1] or [""]
        try:
            before = json.loads(head)["request"]
            items = [Item.model_validate_json(line) for line in lines[: before["texts"]]]
            answers = [Answer.model_validate_json(line) for line in lines[before["texts"] :]]
        except (ValueError, KeyError, TypeError, ValidationError):
            raise UsageError(f"{path} is no journal of voxpop traces; move it away or write elsewhere") from None
        if differing := ", ".join(name for name in SAME if before.get(name) != request[name]):
            raise UsageError(f"{path} was begun with another {differing}; say the same again, or write elsewhere")
        if kept != whole:
            os.truncate(path, len(kept))
        return cls(path, before, items, answers)

    def add(self, answer: Answer) -> None:
        """On disk when this returns."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(answer.model_dump_json(exclude_none=True) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
        self._take(answer)

    def of(self, item: int, vote: int) -> tuple[str | None, str | None, bool]:
        """Of an item's vote: the reasons, the label, and whether either was refused."""
        found = self._of.get((item, vote), [])
        reasoning = next((answer.reasoning for answer in found if answer.reasoning is not None), None)
        label = next((answer.label for answer in found if answer.label is not None), None)
        return reasoning, label, any(answer.refused is not None for answer in found)

    def _take(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._of[answer.item, answer.vote].append(answer)
