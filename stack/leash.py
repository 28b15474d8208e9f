"""Keeps one program on a leash: when whoever holds the other end lets go, for whatever reason, the program ends.

A supervisor that is killed with SIGKILL cannot clean up after itself, and an orphaned database goes on holding its
data directory. So every child of the stack runs under this script, whose standard input is a pipe from the supervisor:
the kernel closes it when the supervisor dies, however it dies. A parent-death signal alone would not do, because the
kernel forgets it when a program changes its user, which PostgreSQL under root must.

Run as a file with ``python -I -S``: standard library only, nothing of ours, 20 ms to start.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_with_the_leash() -> None:
    # In the child, before its program starts: covers the death of the leash itself where the kernel lets it.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_when_let_go(child: subprocess.Popen[bytes], stop_signal: signal.Signals, grace_seconds: float) -> None:
    sys.stdin.buffer.read()
    child.send_signal(stop_signal)
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        child.kill()


def _orphans() -> list[int]:
    # As subreaper we inherit whatever the program left behind, in whichever session or group it hid.
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


def _sweep(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while orphans := _orphans():
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def main() -> int:
    """Run the program given after ``--``; return its exit code, or 128 + the signal that ended it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop-signal", type=int, required=True, help="number of the signal that asks for an end")
    parser.add_argument("--grace-seconds", type=float, required=True, help="time to end before SIGKILL")
    parser.add_argument("--remove", type=Path, help="directory to remove once the program is gone")
    parser.add_argument("argv", nargs="+", help="the program and its arguments")
    options = parser.parse_args()
    stop_signal = signal.Signals(options.stop_signal)

    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(
            options.argv,
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_end_with_the_leash,  # noqa: PLW1509 safe: this process has one thread until the next line
        )
    except OSError as error:
        sys.stderr.write(f"cannot start {options.argv[0]}: {error.strerror}\n")
        return _NOT_STARTED
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: child.send_signal(stop_signal))
    threading.Thread(target=_stop_when_let_go, args=(child, stop_signal, options.grace_seconds), daemon=True).start()

    code = child.wait()
    _sweep(child.pid)
    if options.remove:
        shutil.rmtree(options.remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # Not sys.exit: the thread may hold the lock of standard input, which the interpreter wants while finalizing.
    sys.stderr.flush()
    os._exit(main())
