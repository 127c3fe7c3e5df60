"""What our Faust consumer does otherwise than Faust's, each a message that was lost at a start."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka
from faust.types import TP

from workers.faust_app import Consumer

TEXTS, CHANGES = TP("voxpop.insights", 0), TP("voxpop-alerts-texts-changelog", 0)


def consumer(*, rebalancing: bool) -> Any:
    made: Any = Consumer.__new__(Consumer)
    made.app = SimpleNamespace(rebalancing=rebalancing)
    made._active_partitions, made._paused_partitions = set(), {TEXTS}
    made.can_resume_flow, made.suspend_flow = asyncio.Event(), asyncio.Event()
    return made


def test_partitions_are_asked_for_as_they_were_when_it_began_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty set is taken for all partitions, whose messages Faust then drops."""
    active, asked = {CHANGES}, []

    async def waits(_self: object, partitions: Any, **_: object) -> dict[TP, list[object]]:
        active.clear()  # recovery ends meanwhile
        asked.append(set(partitions))
        return {}

    monkeypatch.setattr(aiokafka.Consumer, "_getmany", lambda self, partitions, timeout: waits(self, partitions))
    asyncio.run(consumer(rebalancing=True)._getmany(active, 1.0))
    assert asked == [{CHANGES}]


def test_while_partitions_move_they_are_read_only_once_the_flow_goes_on() -> None:
    moving = consumer(rebalancing=True)
    moving.resume_partitions({TEXTS})
    assert (moving._active_partitions, moving._paused_partitions) == (set(), {TEXTS})
    moving.resume_flow()
    assert (moving._active_partitions, moving._paused_partitions) == ({TEXTS}, set())


def test_what_was_held_back_is_forgotten_when_the_flow_stops() -> None:
    moving = consumer(rebalancing=True)
    moving.resume_partitions({TEXTS})
    moving.stop_flow()
    moving.resume_flow()
    assert moving._active_partitions == set()


def test_at_other_times_they_are_read_at_once() -> None:
    still = consumer(rebalancing=False)
    still.resume_partitions({TEXTS})
    assert still._active_partitions == {TEXTS}
