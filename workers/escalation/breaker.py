"""A circuit breaker: after so many failures in a row nothing is asked for a while, then one call tries."""

from collections.abc import Callable


class Breaker:
    """One thread at a time. `now` reads a steady clock in seconds."""

    def __init__(self, failures: int, pause_s: float, now: Callable[[], float]) -> None:
        self._failures, self._pause_s, self._now = failures, pause_s, now
        self._in_a_row, self._opened_s = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether too many calls in a row have failed, and the one that tries has not been answered."""
        return self._in_a_row >= self._failures

    def lets_through(self, wanted: int) -> int:
        """How many of so many calls may be made now."""
        if not self.is_open:
            return wanted
        return 0 if self._now() - self._opened_s < self._pause_s else min(1, wanted)

    def note(self, *, good: bool) -> None:
        """What came of a call."""
        self._in_a_row = 0 if good else self._in_a_row + 1
        if self.is_open:
            self._opened_s = self._now()
