"""A group's join whose outcome waits for the poll that takes it up."""

from collections.abc import Callable, Generator
from typing import Any

from kafka.future import Future


class KeptJoin:
    """Stands for a join in kafka-python's coordinator, which begins another when it finds one done that it has not awaited.
    This one never counts as done: whoever awaits it gets the outcome, at once when it is there."""

    is_done = False

    def __init__(self, join: Future) -> None:
        self.join = join

    def add_callback(self, function: Callable[[Any], None]) -> Future:
        """Calls `function` with the assignment."""
        return self.join.add_callback(function)

    def add_errback(self, function: Callable[[BaseException], None]) -> Future:
        """Calls `function` with the error."""
        return self.join.add_errback(function)

    def __await__(self) -> Generator[Any, Any, Any]:
        outcome: Generator[Any, Any, Any] = self.join.__await__()
        return outcome


def kept_join(join: "Future | KeptJoin | None", generation: int) -> "KeptJoin | None":
    """What the coordinator is to hold instead of `join`. None, so that it joins anew, when the join has ended and the
    member has lost its place since (`generation` below zero): nothing may be read under an assignment that is not ours."""
    if join is None:
        return None
    kept = join if isinstance(join, KeptJoin) else KeptJoin(join)
    return None if kept.join.succeeded() and generation < 0 else kept
