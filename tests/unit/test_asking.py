"""Questions to the dashboard take turns, and nobody waits for ever."""

from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from dashboards import asking
from dashboards.asking import AskedQuestion, Asking
from dashboards.clickhouse import Busy, LimitedReader

ANSWER: dict[str, Any] = {
    "question": "why?",
    "enough_evidence": False,
    "answer": "",
    "sentences": [],
    "texts": 0,
    "mix": {},
    "compared": 0,
    "products": [],
}


class HeldReader:
    """Its work is done when it is let go; it counts how much is in hand at once."""

    def __init__(self) -> None:
        self.let_go, self.begun, self.most, self._in_hand = anyio.Event(), anyio.Event(), 0, 0

    async def run(self, work: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        self._in_hand += 1
        self.most = max(self.most, self._in_hand)
        self.begun.set()
        await self.let_go.wait()
        self._in_hand -= 1
        return work(None, {})


def test_one_question_at_a_time_and_who_waits_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        reader = HeldReader()
        turns = Asking(cast(LimitedReader, reader), lambda *_: ANSWER)
        question = AskedQuestion(q="why?")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turns.answer, question)
            await reader.begun.wait()
            monkeypatch.setattr(asking, "WAIT_S", 0.01)
            with pytest.raises(Busy, match="ask again in some seconds"):
                await turns.answer(question)
            monkeypatch.setattr(asking, "WAIT_S", 60.0)
            tasks.start_soon(turns.answer, question)
            await anyio.wait_all_tasks_blocked()
            reader.let_go.set()
        assert reader.most == 1
        assert (await turns.answer(question)).question == "why?"

    anyio.run(ask)
