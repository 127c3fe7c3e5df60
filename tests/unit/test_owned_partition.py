"""Since when a partition's first message has waited."""

import pytest

from workers.stream import owned_partition
from workers.stream.blocks import Message
from workers.stream.owned_partition import OwnedPartition


def arrive(state: OwnedPartition, first: int, end: int) -> None:
    state.arrived(first)
    for offset in range(first, end):
        state.append(Message(offset, None, b"value"))


def take(state: OwnedPartition, messages: int) -> None:
    for _ in range(messages):
        state.buffer.popleft()
    state.taken()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(owned_partition.time, "monotonic", lambda: now[0])
    return now


def test_what_is_left_has_waited_since_it_came(clock: list[float]) -> None:
    state = OwnedPartition(1, "id", 0, None)
    for second, (first, end) in enumerate([(0, 3), (3, 5), (5, 9)], start=1):
        clock[0] = float(second)
        arrive(state, first, end)
    assert state.waiting_since == 1.0
    take(state, 2)
    assert state.waiting_since == 1.0
    take(state, 1)
    assert state.waiting_since == 2.0
    take(state, 4)
    assert state.waiting_since == 3.0


def test_an_emptied_buffer_waits_anew(clock: list[float]) -> None:
    state = OwnedPartition(1, "id", 0, None)
    clock[0] = 1.0
    arrive(state, 0, 3)
    clock[0] = 5.0
    take(state, 3)
    assert state.waiting_since == 5.0
    clock[0] = 8.0
    arrive(state, 3, 4)
    assert state.waiting_since == 8.0
    assert len(state.arrivals) == 1
