"""The PostgreSQL that is measured on: the embedded one with fsync on, its data where the demo keeps its own.

A system's temporary directory may be memory, where a commit costs nothing; a state directory is a real disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from stack.paths import state_dir
from stack.postgres import postgres
from store.migrate import migrate
from store.pool import Pool, open_pool

CLIENTS = 8
_RUNTIME_ROLE = "&options=-c%20role%3Dalliance_app"
# Stored as the log stores its own: sealed bytes do not compress, and trying would only slow the bare side down.
_BARE_TABLE = """
CREATE TABLE bare_rows (
    journey_id uuid,
    sequence bigint,
    stored bytea STORAGE EXTERNAL,
    PRIMARY KEY (journey_id, sequence)
)"""
_MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class Database:
    """A migrated log database, and beside it a bare table for what is compared with it."""

    url: str
    bare: tuple[AsyncConnection[TupleRow], ...]
    """Plain connections without pool, role or translation of errors, one for each client."""
    described: dict[str, str]

    @asynccontextmanager
    async def pool(self, clients: int) -> AsyncIterator[Pool]:
        """Open a pool as a worker has it, in the runtime role, with a connection for each client.

        Not more: a pool hands its connections out in turn, and a server process that is rarely asked answers slowly.
        """
        pool = await open_pool(self.url + _RUNTIME_ROLE, min_size=clients, max_size=clients)
        try:
            yield pool
        finally:
            await pool.close()


@asynccontextmanager
async def log_database() -> AsyncIterator[Database]:
    """Run a server of its own for the length of a ``with``; nothing of it is left behind."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="bench-", dir=state_dir())))
        server = await stack.enter_async_context(postgres(home, fsync="on"))
        url = server.url("postgres")
        await migrate(url, "log")
        bare = tuple([await stack.enter_async_context(await _connect(url)) for _ in range(CLIENTS)])
        await bare[0].execute(_BARE_TABLE)
        yield Database(url, bare, await _describe(bare[0], home))


async def _connect(url: str) -> AsyncConnection[TupleRow]:
    return await AsyncConnection[TupleRow].connect(url, autocommit=True, prepare_threshold=0)


async def _describe(connection: AsyncConnection[TupleRow], home: Path) -> dict[str, str]:
    names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
    rows = [await (await connection.execute("SELECT current_setting(%s)", (name,))).fetchone() for name in names]
    version, *settings = [row[0] for row in rows if row]
    described = ", ".join(f"{name}={value}" for name, value in zip(names[1:], settings, strict=True))
    return {"postgresql": f"{version}, {described}", "file system of its data": _file_system(home)}


def _file_system(path: Path) -> str:
    """Name the kind of the file system that holds this path: ``tmpfs`` would make every commit free."""
    mounts = [line.split(" ")[1:3] for line in _MOUNTS.read_text("utf-8").splitlines()]
    holding = [(len(place), number, kind) for number, (place, kind) in enumerate(mounts) if path.is_relative_to(place)]
    return max(holding)[2]
