"""No process we start outlives us, and none that fails to start does so silently."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workers.embedded.process import ChildProcess, EmbeddedError, free_port, wait_until

SLEEPER = ["sleep", "600"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie that nobody has reaped yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent_that_starts_a_child(tmp_path: Path, ending: str) -> subprocess.Popen[str]:
    """A Python process that starts SLEEPER in a thread which ends at once, prints both pids, then does `ending`."""
    program = f"""
import os, signal, sys, threading, pathlib
from workers.embedded.process import ChildProcess
started = []
def start(): started.append(ChildProcess("the sleeper", {SLEEPER!r}, log_file=pathlib.Path({str(tmp_path / "log")!r})))
thread = threading.Thread(target=start); thread.start(); thread.join()
child = started[0]
print(child.pid, child._supervisor.pid, flush=True)
{ending}
"""
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def pids_from(parent: subprocess.Popen[str]) -> tuple[int, int]:
    assert parent.stdout is not None
    child, supervisor = parent.stdout.readline().split()
    return int(child), int(supervisor)


def close(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.communicate()


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = parent_that_starts_a_child(tmp_path, "sys.stdin.read()")
    child, supervisor = pids_from(parent)
    assert alive(child), "it must survive the end of the thread that started it"
    parent.kill()
    wait_until(lambda: not alive(child) and not alive(supervisor), 15, "the orphan to die")
    close(parent)


def test_a_child_dies_when_a_fork_of_the_dead_parent_still_holds_the_pipe(tmp_path: Path) -> None:
    holder = "pid = os.fork()\nif pid == 0: signal.pause()\nprint(pid, flush=True)\nsys.stdin.read()"
    parent = parent_that_starts_a_child(tmp_path, holder)
    child, supervisor = pids_from(parent)
    assert parent.stdout is not None
    fork = int(parent.stdout.readline())
    try:
        parent.kill()
        wait_until(lambda: not alive(child) and not alive(supervisor), 15, "the orphan to die")
    finally:
        os.kill(fork, signal.SIGKILL)
        close(parent)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux")
def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    child = ChildProcess("the sleeper", SLEEPER, log_file=tmp_path / "log")
    os.kill(child._supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not alive(child.pid), 15, "the orphan to die")
    child.stop()


def test_an_interrupt_of_our_process_group_does_not_reach_the_child(tmp_path: Path) -> None:
    with ChildProcess("the sleeper", SLEEPER, log_file=tmp_path / "log") as child:
        assert os.getpgid(child.pid) != os.getpgid(0)
        assert os.getpgid(child._supervisor.pid) != os.getpgid(0)


def test_stopping_is_polite_then_final_and_may_be_repeated(tmp_path: Path) -> None:
    polite = ChildProcess("the sleeper", SLEEPER, log_file=tmp_path / "log")
    polite.stop()
    polite.stop()
    assert polite.exit_code == 128 + signal.SIGTERM
    stubborn = ChildProcess("the stubborn", STUBBORN, log_file=tmp_path / "stubborn", grace_s=0.2)
    stubborn.wait_until(lambda: "ready" in (tmp_path / "stubborn").read_text(), 10)
    stubborn.stop()
    assert stubborn.exit_code == 128 + signal.SIGKILL
    assert not alive(stubborn.pid)


def test_a_command_that_ends_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("words of an earlier run\n")
    child = ChildProcess("the server", ["sh", "-c", "echo port taken >&2; exit 3"], log_file=log)
    with pytest.raises(EmbeddedError, match="the server ended with exit code 3: port taken"):
        child.wait_until(lambda: False, 10)
    silent = ChildProcess("the server", ["false"], log_file=log)
    with pytest.raises(EmbeddedError, match="exit code 1: it wrote nothing"):
        silent.wait_until(lambda: False, 10)


def test_a_command_that_never_answers_is_stopped(tmp_path: Path) -> None:
    child = ChildProcess("the server", SLEEPER, log_file=tmp_path / "log")
    with pytest.raises(EmbeddedError, match="the server to answer"):
        child.wait_until(lambda: False, 0.1)
    assert not alive(child.pid)


def test_a_missing_binary_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="the broker did not start: cannot start /no/such/broker"):
        ChildProcess("the broker", ["/no/such/broker"], log_file=tmp_path / "log")


def test_the_environment_is_passed_and_the_directory_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["sh", "-c", 'echo "$SECRET in $(pwd)"']
    child = ChildProcess("the echo", command, log_file=log, environment={"SECRET": "s3cret"}, directory=tmp_path)
    wait_until(lambda: not child.running, 10, "the echo to end")
    assert child.exit_code == 0
    assert child.last_words() == f"s3cret in {tmp_path}"
    child.stop()


def test_a_killed_child_is_seen_as_killed(tmp_path: Path) -> None:
    child = ChildProcess("the sleeper", SLEEPER, log_file=tmp_path / "log")
    child.kill()
    assert child.exit_code == 128 + signal.SIGKILL
    assert free_port() > 0
