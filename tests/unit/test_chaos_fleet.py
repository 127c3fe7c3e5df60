"""A chaos run whose stream does not come on tells what each worker wrote last and where its threads are."""

import sys
import time
from pathlib import Path

from workers.chaos.fleet import Fleet
from workers.settings import Settings

WORKER = """
import faulthandler, signal, time
faulthandler.register(signal.SIGUSR1)
print("at work", flush=True)
def waiting_for_the_group():
    time.sleep(60)
waiting_for_the_group()
"""


def test_it_is_told_where_a_workers_threads_are_and_the_worker_goes_on(tmp_path: Path) -> None:
    fleet = Fleet(Settings(), tmp_path, (sys.executable, "-c", WORKER))
    slot = fleet.add()
    try:
        while "at work" not in (tmp_path / "worker-1.log").read_text():
            time.sleep(0.02)
        told = "\n".join(fleet.where_they_are())
        assert "worker 1: at work" in told
        assert "in waiting_for_the_group" in told
        assert fleet.running() == [slot]
    finally:
        fleet.kill(slot)
