"""The supervisor: it waits until a child is ready, tells why one is not, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from stack.processes import Child, ChildDiedError, ChildError, Probe, Supervisor, free_ports
from tests.stack.observing import eventually, family, is_alive, run_until_ready

# Starts a grandchild that hides in a session of its own; both ignore every polite request to end.
STUBBORN = """
import signal, subprocess, sys
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, "-c", Path(sys.argv[1]).read_text()], start_new_session=True)
    Path(sys.argv[2]).touch()
signal.pause()
"""

# Writes its name when it is asked to end.
POLITE = """
import signal, sys
from pathlib import Path
def end(*_):
    with Path(sys.argv[1]).open("a") as order: order.write(sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
Path(sys.argv[1] + sys.argv[2]).touch()
signal.pause()
"""

SUPERVISE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from stack.processes import Supervisor

async def supervise():
    async with Supervisor(Path(sys.argv[1])) as supervisor:
        ready = Path(sys.argv[3])
        async def is_ready(): return ready.exists()
        argv = [sys.executable, sys.argv[2], sys.argv[2], str(ready)]
        await supervisor.start("stubborn", argv, ready=is_ready, grace_seconds=0.2)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(supervise())
"""


IDLE = ["tail", "-f", "/dev/null"]


async def at_once() -> bool:
    """Answer for a child that needs no time."""
    return True


async def never() -> bool:
    """Answer for a child that never gets there."""
    return False


def write(path: Path, script: str) -> Path:
    """Write a script for a child to run."""
    path.write_text(script, "utf-8")
    return path


def when_exists(path: Path) -> Probe:
    """Make a probe that says yes once the file is there."""

    async def exists() -> bool:
        return path.exists()  # noqa: ASYNC240 one stat

    return exists


async def test_crash_before_ready_is_explained(tmp_path: Path) -> None:
    """The error names the child, its exit code and its last twenty lines."""
    log = tmp_path / "logs" / "pharmacy.log"
    script = "import sys; [print(f'line {n}') for n in range(30)]; sys.exit(3)"

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ChildDiedError) as caught:
            await supervisor.start("pharmacy", [sys.executable, "-c", script], ready=never)

    first, *lines = str(caught.value).splitlines()
    assert f"pharmacy ended with exit code 3. Its last lines, from {log}:" == first
    assert [f"line {number}" for number in range(10, 30)] == lines


async def test_missing_program_is_explained(tmp_path: Path) -> None:
    """A program that does not exist is reported by its name, without lines of an earlier run."""
    log = tmp_path / "logs" / "api.log"
    log.parent.mkdir()
    log.write_text("a line of an earlier run\n", "utf-8")

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ChildDiedError) as caught:
            await supervisor.start("api", ["no-such-program"], ready=never)

    first, *lines = str(caught.value).splitlines()
    assert f"api ended with exit code 127. Its last lines, from {log}:" == first
    assert ["cannot start no-such-program"] == [line.split(":")[0] for line in lines]


async def test_never_ready_is_an_error(tmp_path: Path) -> None:
    """A child that lives but never becomes ready is given up after the limit, and ended."""
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ChildError, match=r"worker was not ready within 0\.2 s"):
            await supervisor.start("worker", IDLE, ready=never, timeout_seconds=0.2)


async def test_ready_when_the_url_answers(tmp_path: Path) -> None:
    """A URL is ready when it answers 200; a 404 is not ready."""
    (port,) = free_ports(1)
    (tmp_path / "health").touch()
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    async with Supervisor(tmp_path) as supervisor:
        web = await supervisor.start("web", argv, ready=f"http://127.0.0.1:{port}/health")

        with pytest.raises(ChildError, match="not ready"):
            await web.wait_ready(f"http://127.0.0.1:{port}/missing", 0.2)


async def test_later_crash_is_reported(tmp_path: Path) -> None:
    """``died`` gets the error of a child that ends though nobody asked, with the signal that ended it."""
    async with Supervisor(tmp_path) as supervisor:
        argv = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
        await supervisor.start("worker", argv, ready=at_once)

        error = await asyncio.wait_for(supervisor.died, 10)

    assert str(error).startswith("worker was ended by SIGSEGV.")


async def test_a_stop_is_not_a_death(tmp_path: Path) -> None:
    """Children that were asked to end are not reported as dead."""
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start("worker", IDLE, ready=at_once)

    assert not supervisor.died.done()


async def test_stops_in_reverse_order(tmp_path: Path) -> None:
    """The child that was started last is asked to end first, and has ended before the next is asked."""
    order = tmp_path / "order"
    script = write(tmp_path / "polite.py", POLITE)

    async with Supervisor(tmp_path) as supervisor:
        for name in "abc":
            argv = [sys.executable, str(script), str(order), name]
            await supervisor.start(name, argv, ready=when_exists(tmp_path / f"order{name}"))

    assert "cba" == order.read_text("utf-8")


async def test_nothing_is_left(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, and what it started in another session, are gone when stop returns."""
    script, ready = write(tmp_path / "stubborn.py", STUBBORN), tmp_path / "ready"

    async with Supervisor(tmp_path) as supervisor:
        argv = [sys.executable, str(script), str(script), str(ready)]
        child = await supervisor.start("stubborn", argv, ready=when_exists(ready), grace_seconds=0.2)
        processes = family(child.pid)
        assert 3 == len(processes)

    assert set() == {pid for pid in processes if is_alive(pid)}


async def test_nothing_is_left_after_sigkill(tmp_path: Path) -> None:
    """The same when the supervisor itself is killed with SIGKILL and can do nothing about it."""
    script, ready = write(tmp_path / "stubborn.py", STUBBORN), tmp_path / "ready"
    supervisor = await run_until_ready(SUPERVISE_UNTIL_KILLED, str(tmp_path), str(script), str(ready))
    processes = family(supervisor.pid)
    assert 4 == len(processes)

    supervisor.send_signal(signal.SIGKILL)
    await supervisor.wait()

    assert await eventually(lambda: not any(is_alive(pid) for pid in processes))


async def test_program_follows_a_killed_leash(tmp_path: Path) -> None:
    """When only the leash is killed, its program ends too."""
    child = Child("worker", IDLE, log=Path("/dev/null"))
    await child.start()
    assert await eventually(lambda: len(family(child.pid)) == 2)
    processes = family(child.pid)

    child._started.kill()

    assert await eventually(lambda: not any(is_alive(pid) for pid in processes))
    assert 128 + signal.SIGKILL == await child.wait()


def test_free_ports_are_distinct() -> None:
    """No port is given twice in one answer."""
    assert 50 == len(set(free_ports(50)))
