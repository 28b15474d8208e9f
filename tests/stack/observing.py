"""What the tests of the stack look at from outside: processes by id, conditions that come true."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


async def eventually(condition: Callable[[], bool], within_seconds: float = 15.0) -> bool:
    """Wait until the condition holds; False when it does not in time."""
    try:
        async with asyncio.timeout(within_seconds):
            while not condition():  # noqa: ASYNC110 another process sets no event of ours
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a mere entry that waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def family(pid: int) -> set[int]:
    """The process and everything that descends from it now."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listing.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


async def run_until_ready(script: str, *arguments: str) -> asyncio.subprocess.Process:
    """Run a Python script in another process, and return when it has printed a line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert b"ready\n" == await process.stdout.readline()
    return process
