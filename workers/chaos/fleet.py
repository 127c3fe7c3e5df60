"""The workers of a chaos run: started, killed, frozen, woken and started again, whatever state they are in."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.embedded.process import ChildProcess
from workers.failpoints import VARIABLE
from workers.settings import Settings, as_environment

GRACE_S = 40.0
STACKS_S = 0.5  # what a worker has to write where its threads are
WORKER_COMMAND = (sys.executable, "-m", "workers.cli", "worker")


@dataclass(slots=True)
class Slot:
    """A place for one worker. `wanted` is False while it is scaled down; `armed` names what its present process may meet,
    `hold_s` how long it then stays frozen."""

    number: int
    process: ChildProcess | None = None
    wanted: bool = True
    armed: str = ""
    hold_s: float = 0.0
    frozen_until: float = 0.0
    asked_to_stop: bool = False


class Fleet:
    """Used by one thread. `unexpected` are the last words of workers that ended without having been made to, `fired` the
    failpoints that were met."""

    def __init__(self, settings: Settings, logs: Path, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._environment = as_environment(settings)
        self._logs = logs
        self._command = command
        self.slots: list[Slot] = []
        self.unexpected: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()

    def add(self, failpoints: str = "", hold_s: float = 0.0) -> Slot:
        """A worker more."""
        slot = Slot(len(self.slots) + 1)
        self.slots.append(slot)
        self.start(slot, failpoints, hold_s)
        return slot

    def start(self, slot: Slot, failpoints: str = "", hold_s: float = 0.0) -> None:
        """Starts a worker in an empty slot; with `failpoints` armed when given."""
        slot.hold_s = hold_s
        slot.armed, slot.wanted, slot.frozen_until, slot.asked_to_stop = failpoints, True, 0.0, False
        slot.process = ChildProcess(
            f"worker {slot.number}",
            self._command,
            log_file=self._logs / f"worker-{slot.number}.log",
            environment={**self._environment, VARIABLE: failpoints},
            grace_s=GRACE_S,
        )

    def kill(self, slot: Slot) -> None:
        """SIGKILL, whatever it does or is frozen in."""
        if slot.process is not None:
            slot.process.kill()
            slot.process = None

    def freeze(self, slot: Slot, until: float) -> None:
        """SIGSTOP. `until` is on the caller's clock; the caller wakes it."""
        if slot.process is not None:
            with suppress(ProcessLookupError):
                os.kill(slot.process.pid, signal.SIGSTOP)
            slot.frozen_until = until

    def wake(self, slot: Slot) -> None:
        """SIGCONT."""
        slot.frozen_until = 0.0
        if slot.process is not None:
            with suppress(ProcessLookupError):
                os.kill(slot.process.pid, signal.SIGCONT)

    def ask_to_stop(self, slot: Slot) -> None:
        """SIGTERM; it is not started again until `start`."""
        slot.wanted, slot.asked_to_stop = False, True
        if slot.process is not None:
            self.wake(slot)
            with suppress(ProcessLookupError):
                os.kill(slot.process.pid, signal.SIGTERM)

    def is_stopped(self, slot: Slot) -> bool:
        """Whether its process is frozen, by us or by a failpoint."""
        try:
            status = Path(f"/proc/{slot.process.pid}/stat").read_text() if slot.process else ""
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[:1] == ["T"]

    def hold_at_failpoints(self, now: float) -> list[Slot]:
        """The workers that a failpoint has frozen since the last call; the caller wakes each after its `hold_s`."""
        frozen = [slot for slot in self.slots if slot.armed and not slot.frozen_until and self.is_stopped(slot)]
        for slot in frozen:
            slot.frozen_until = now + slot.hold_s
            self.fired[slot.armed.partition("@")[0]] += 1
        return frozen

    def where_they_are(self) -> Iterator[str]:
        """What each worker wrote last, and where its threads are now: for a stream that does not come on."""
        for slot in self.running():
            assert slot.process is not None  # noqa: S101 - it runs
            with suppress(ProcessLookupError):
                os.kill(slot.process.pid, signal.SIGUSR1)
            time.sleep(STACKS_S)
            yield from (f"worker {slot.number}: {line}" for line in slot.process.last_lines())

    def running(self) -> list[Slot]:
        """The slots whose worker runs and is meant to."""
        return [slot for slot in self.slots if slot.wanted and slot.process is not None and slot.process.running]

    def start_again_what_ended(self) -> list[Slot]:
        """Starts a worker wherever one is wanted and none runs. Gives back those slots; a failpoint met is no surprise."""
        ended = [slot for slot in self.slots if slot.process is not None and not slot.process.running]
        again = []
        for slot in ended:
            assert slot.process is not None  # noqa: S101 - just looked
            killed_by_failpoint = slot.armed and slot.process.exit_code == 128 + signal.SIGKILL
            if killed_by_failpoint:
                self.fired[slot.armed.partition("@")[0]] += 1
            elif not slot.asked_to_stop:
                self.unexpected[f"worker {slot.number}: {slot.process.last_words()[:200]}"] += 1
            slot.process = None
        for slot in self.slots:
            if slot.wanted and slot.process is None:
                again.append(slot)
                self.start(slot)
        return again

    def stop(self) -> None:
        """Ends all of them, also those that a failpoint freezes on their way out."""
        for slot in self.slots:
            self.ask_to_stop(slot)
        until = time.monotonic() + GRACE_S
        while any(s.process is not None and s.process.running for s in self.slots) and time.monotonic() < until:
            for slot in self.slots:
                if self.is_stopped(slot):
                    self.wake(slot)
            time.sleep(0.05)
        for slot in self.slots:
            if slot.process is not None:
                slot.process.stop()
                slot.process = None
