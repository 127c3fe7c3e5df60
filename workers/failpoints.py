"""Places where a crash could matter, by name. Inert unless VOXPOP_FAILPOINTS arms some, which only fault tests do.

    VOXPOP_FAILPOINTS="declared=kill@3,inserted=stop"      the third block declared kills us; the first insert freezes us

Actions: `kill` is SIGKILL, `stop` is SIGSTOP (whoever armed it sends SIGCONT), `raise` is a fault of our own. `@N` waits for
the Nth time the place is passed; each fires once.
"""

import os
import signal
import threading
from dataclasses import dataclass

from workers.errors import UsageError

VARIABLE = "VOXPOP_FAILPOINTS"
WORKER_FAILPOINTS = (
    "polled",  # messages are in the buffers
    "declared",  # the coordinator has the block's range, ClickHouse nothing
    "classified",  # judged, not inserted
    "inserting",  # insights are in, dead letters are not
    "inserted",  # all rows are in, nothing is produced
    "committing",  # produced; the commit that finishes the block is about to be sent
    "committed",  # the coordinator has answered
    "rebalancing",  # partitions came or went
    "stopping",  # told to stop, a batch in hand
)
PAGE_FAILPOINTS = (
    "page-claimed",  # rows were judged again, their events are claimed
    "page-staged",  # the page is to be written, by whoever comes next
    "page-retracted",  # the old figures are off the aggregates
    "page-inserted",  # the new rows are in, beside the old ones
    "page-deleted",  # the old rows are gone, the page is there still
)
ERASE_FAILPOINTS = (
    "erase-noted",  # the receipts are there, every row too
    "erase-waited",  # no insert that did not see them can come any more
    "page-forgotten",  # nothing names the events of a page of rows to be erased, but the page
    "erase-letters",  # rows are gone, dead letters are not
)
DIGEST_FAILPOINTS = (
    "digest-made",  # nothing of it is stored
    "digest-stored",  # ClickHouse has answered
)
WRITING_FAILPOINTS = (
    "writing-claimed",  # a digest's or a brief's days are claimed
    "writing-looked",  # what it rests on is there, it is not stored
    "writing-stored",  # it is, and its claim holds
)
ESCALATION_FAILPOINTS = (
    "escalation-begun",  # calls are noted as begun, none is made
    "escalation-answered",  # an answer is noted, its row says nothing of it yet
)
ASKING_FAILPOINTS = (
    "asking-begun",  # a call for a brief or a trace is noted as begun, and not made
    "trace-answered",  # its answer is in the journal
)
RETENTION_FAILPOINTS = (
    "retention-noted",  # it is noted what is over, every row is there
    "retention-emptied",  # nothing names a slice's events but their rows
    "retention-removed",  # a slice is gone
)
HEADLINE_FAILPOINTS = ("headlines-noted",)  # what became of them is noted, no row has one
FAILPOINTS = (
    WORKER_FAILPOINTS
    + PAGE_FAILPOINTS
    + ERASE_FAILPOINTS
    + DIGEST_FAILPOINTS
    + WRITING_FAILPOINTS
    + ESCALATION_FAILPOINTS
    + ASKING_FAILPOINTS
    + HEADLINE_FAILPOINTS
    + RETENTION_FAILPOINTS
)
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Fault(RuntimeError):
    """Raised on purpose by an armed failpoint."""


@dataclass(slots=True)
class _Armed:
    action: str
    passes_left: int


def read(value: str) -> dict[str, _Armed]:
    """The failpoints that a value of VOXPOP_FAILPOINTS arms. Raises `UsageError`."""
    armed = {}
    for part in filter(None, value.split(",")):
        name, _, rest = part.partition("=")
        action, _, count = rest.partition("@")
        if name not in FAILPOINTS or action not in (*_SIGNALS, "raise") or not (count or "1").isdigit():
            raise UsageError(
                f"{VARIABLE}: {part!r} is not NAME=kill|stop|raise[@N] with a NAME of {', '.join(FAILPOINTS)}"
            )
        armed[name] = _Armed(action, int(count or 1))
    return armed


_armed = read(os.environ.get(VARIABLE, ""))
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Does nothing, or what this place is armed to do."""
    if not _armed:
        return
    with _lock:
        armed = _armed.get(name)
        if armed is None:
            return
        armed.passes_left -= 1
        if armed.passes_left > 0:
            return
        del _armed[name]
    if armed.action == "raise":
        raise Fault(f"failpoint {name}")
    os.kill(os.getpid(), _SIGNALS[armed.action])
