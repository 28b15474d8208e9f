"""Connections, and the one place where the driver's errors become ours.

Connections are in autocommit: a statement alone is a transaction and one round trip, which is what an append is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from store.errors import RecordsRefusedError, StoreError, StoreUnavailableError

Pool: TypeAlias = AsyncConnectionPool[AsyncConnection[TupleRow]]

_RECORDS_REFUSED = "AL002"


async def open_pool(
    dsn: str, *, min_size: int = 1, max_size: int = 10, application_name: str = "alliance", timeout_seconds: float = 10
) -> Pool:
    """Open a pool and wait until it holds ``min_size`` connections; the caller closes it.

    ``timeout_seconds`` bounds the wait for a connection, here and later; after it, reconnecting starts afresh with the
    next caller instead of backing off for minutes.

    Raises:
        StoreUnavailableError: no connection within ``timeout_seconds``.

    """
    pool = AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection[TupleRow],
        # Prepared at first use: every statement here is one of a few dozen, and each is used for ever.
        kwargs={"autocommit": True, "prepare_threshold": 0, "application_name": application_name},
        min_size=min_size,
        max_size=max_size,
        timeout=timeout_seconds,
        reconnect_timeout=timeout_seconds,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=timeout_seconds)
    except BaseException as error:
        await pool.close()
        if isinstance(error, psycopg.Error):
            raise _translated(error) from error
        raise
    return pool


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Borrow a connection. Raises StoreUnavailableError, RecordsRefusedError or StoreError instead of the driver's."""
    try:
        async with pool.connection() as borrowed:
            yield borrowed
    except psycopg.Error as error:
        raise _translated(error) from error


async def fetch_all(pool: Pool, query: LiteralString, params: Mapping[str, Any] | None = None) -> list[TupleRow]:
    """Run one statement and return its rows. Values travel in binary, both ways."""
    async with connection(pool) as borrowed, borrowed.cursor(binary=True) as cursor:
        await cursor.execute(query, params)
        return await cursor.fetchall()


async def fetch_one(pool: Pool, query: LiteralString, params: Mapping[str, Any] | None = None) -> TupleRow | None:
    """Run one statement and return its first row, if it has one."""
    rows = await fetch_all(pool, query, params)
    return rows[0] if rows else None


def _translated(error: psycopg.Error) -> StoreError:
    """Say what the driver's error means for the caller."""
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailableError(
            f"PostgreSQL does not serve now ({_code(error)}): check that it runs, accepts this user and has free "
            "connections; then send the same call again."
        )
    if error.sqlstate == _RECORDS_REFUSED:
        return RecordsRefusedError(
            f"The log refused an append: {error.diag.message_primary}. Nothing was written; run the audit's "
            "compare on this journey."
        )
    constraint = f" on {error.diag.constraint_name}" if error.diag.constraint_name else ""
    return StoreError(
        f"PostgreSQL refused a statement ({_code(error)}{constraint}): check that the migrations are applied and "
        "that this process connects with the right role."
    )


def _code(error: psycopg.Error) -> str:
    return f"{type(error).__name__} {error.sqlstate or ''}".strip()
