"""One PostgreSQL per session, with fsync on; a migrated database from a template for each test, so commits are real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import uuid4

import pytest
from psycopg import AsyncConnection, sql

from stack.postgres import PostgresServer, postgres
from store.keys import KeyStore
from store.log import EventLog
from store.migrate import migrate
from store.pool import Pool, open_pool
from vault.kek import LocalFileKek

RUNTIME_ROLE = "&options=-c%20role%3Dalliance_app"
Which: TypeAlias = Literal["log", "keys"]
WHICH: tuple[Which, ...] = ("log", "keys")


@dataclass(frozen=True)
class Database:
    """One test's database, as three kinds of people see it."""

    superuser: str
    owner: str

    @property
    def app(self) -> str:
        return self.superuser + RUNTIME_ROLE

    def connect(self, dsn: str) -> AbstractAsyncContextManager[AsyncConnection]:
        return connected(dsn)

    async def cut(self, name: str) -> None:
        """Cut all connections of this name, as a crash of the server would."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        async with connected(self.superuser) as admin:
            await admin.execute(query, (name,))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[AsyncConnection]:
    """A plain connection in autocommit, closed at the end."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def pooled(dsn: str, name: str = "tests") -> AsyncIterator[Pool]:
    """A pool, closed at the end; ``name`` is what the server knows its connections by."""
    pool = await open_pool(dsn, min_size=1, max_size=4, application_name=name)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[PostgresServer]:
    """Start a PostgreSQL with an empty database for each template."""
    async with postgres(fsync="on") as running:
        async with connected(running.url("postgres")) as admin:
            # An owner as in production: no superuser, so a passing test never rests on being one.
            await admin.execute("CREATE ROLE alliance_owner LOGIN CREATEROLE")
            for which in WHICH:
                await admin.execute(f"CREATE DATABASE template_{which} OWNER alliance_owner".encode())
        yield running


@pytest.fixture(scope="session")
async def templates(server: PostgresServer) -> PostgresServer:
    """The server, with both templates migrated by the owner."""
    for which in WHICH:
        await migrate(server.url(f"template_{which}", "alliance_owner"), which)
    return server


@asynccontextmanager
async def copied(server: PostgresServer, template: str) -> AsyncIterator[Database]:
    """A database of one test's own, dropped at the end."""
    name = f"test_{uuid4().hex}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER alliance_owner")
    async with connected(server.url("postgres")) as admin:
        await admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield Database(server.url(name), server.url(name, "alliance_owner"))
        finally:
            await admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def empty(server: PostgresServer) -> AsyncIterator[Database]:
    """A database without migrations."""
    async with copied(server, "template0") as database:
        yield database


@pytest.fixture
async def log_database(templates: PostgresServer) -> AsyncIterator[Database]:
    """Copy the migrated log database."""
    async with copied(templates, "template_log") as database:
        yield database


@pytest.fixture
async def keys_database(templates: PostgresServer) -> AsyncIterator[Database]:
    """Copy the migrated key database."""
    async with copied(templates, "template_keys") as database:
        yield database


@pytest.fixture
async def pool(log_database: Database) -> AsyncIterator[Pool]:
    """The log database, as the runtime role."""
    async with pooled(log_database.app) as opened:
        yield opened


@pytest.fixture
async def owner_pool(log_database: Database) -> AsyncIterator[Pool]:
    """The log database, as its owner."""
    async with pooled(log_database.owner) as opened:
        yield opened


@pytest.fixture
def log(pool: Pool) -> EventLog:
    """Make the log, as the runtime role sees it."""
    return EventLog(pool)


@pytest.fixture
async def keys(keys_database: Database, tmp_path: Path) -> AsyncIterator[KeyStore]:
    """A key store as the runtime role, with a KEK file of its own."""
    async with pooled(keys_database.app) as opened:
        yield KeyStore(opened, LocalFileKek.open(tmp_path / "kek.json", create=True))
