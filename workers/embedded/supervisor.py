"""Runs one command and ends it when whoever asked for it is gone. A script, run by path, on the standard library alone.

    python -I -S supervisor.py PARENT_PID GRACE_S COMMAND [ARGUMENT …]

Standard input is a pipe whose other end only the parent holds: its end of file means that the parent wants the command
stopped or is dead, however it died (a `kill -9` closes its pipes too). It needs nothing of the command, works on every
POSIX system, and unlike `PR_SET_PDEATHSIG` it does not fire when the *thread* that started us ends. On Linux the
command also carries `PR_SET_PDEATHSIG` towards this supervisor, so that killing the supervisor alone leaves no orphan.

The command's pid is the first and only line on standard output. Its own output goes to standard error, which the parent
points at the log. The exit code is the command's, or 128 + N when signal N ended it.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

PR_SET_PDEATHSIG = 1
PARENT_CHECK_S = 1.0  # a fork of the parent can hold the pipe open after the parent's death: then its pid tells


def main(arguments: list[str]) -> int:
    """Start the command, announce its pid, wait for the end of either side; return the exit code to end with."""
    parent_pid, grace_s, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    wake, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    stop_asked: list[int] = []

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop_asked.append(number)

    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    try:
        child = subprocess.Popen(  # noqa: S603 - the caller's own command, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            start_new_session=True,
            preexec_fn=_die_with_this_process(),
        )
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    print(child.pid, flush=True)
    sys.stdout.close()
    while child.poll() is None and not stop_asked:
        readable, _, _ = select.select([sys.stdin, wake], [], [], PARENT_CHECK_S)
        if wake in readable:
            os.read(wake, 512)
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 512):
            break
        if os.getppid() != parent_pid:
            break
    return _end(child, grace_s)


def _end(child: "subprocess.Popen[bytes]", grace_s: float) -> int:
    """Ask the command to end with SIGTERM, kill its group after `grace_s`; its exit code as a shell gives it."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    return 128 - code if code < 0 else code


def _die_with_this_process() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    set_option = ctypes.CDLL(None, use_errno=True).prctl
    supervisor_pid = os.getpid()

    def before_exec() -> None:
        set_option(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor_pid:
            os._exit(1)

    return before_exec


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
