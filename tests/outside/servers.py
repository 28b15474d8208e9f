"""Starting the outside world's processes for a test, waiting until they answer, and stopping them by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx2

Found = TypeVar("Found")

PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], Found | None], *, while_: Callable[[], bool] = lambda: True) -> Found:
    """Return what ``look`` finds, asked again until it finds something. Fails when time or ``while_`` runs out."""
    pause = 0.01
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := look()) is None:
        assert while_(), "the process being waited for has ended"
        assert time.monotonic() < deadline, "nothing found in time"
        time.sleep(pause)
    return found


def answers(url: str) -> bool | None:
    """Say True when ``url`` answers 200, None when it does not yet."""
    try:
        return True if httpx2.get(url, timeout=5).status_code == 200 else None
    except httpx2.HTTPError:
        return None


@contextmanager
def running(
    argv: list[str], environment: dict[str, str], ready_url: str, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server process that answers ``ready_url``, ended by SIGTERM."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=os.environ | environment, stdout=output, stderr=output)
        try:
            eventually(lambda: answers(ready_url), while_=lambda: process.poll() is None)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def simulator_argv(port: int, smtp_port: int, webhook_url: str, secret_file: Path) -> list[str]:
    """Build the command that starts the simulators."""
    argv = [sys.executable, "-m", "outside", "simulators", "--port", str(port), "--smtp-port", str(smtp_port)]
    return [*argv, "--webhook-url", webhook_url, "--webhook-secret-file", str(secret_file)]
