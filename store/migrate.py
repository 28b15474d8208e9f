"""Plain SQL migrations for the two databases, applied in order, once, and never edited afterwards.

A file is applied in its own transaction together with the note of its SHA-256. A file that was applied and changed
since is refused: nobody knows what schema that would be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import psycopg
import structlog
from psycopg import AsyncConnection

from store.errors import MigrationChangedError, StoreUnavailableError

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x616C6C69  # "alli": one migrator at a time per database
_log = structlog.get_logger(__name__)


async def migrate(dsn: str, which: Literal["log", "keys"], folder: Path = _FOLDER) -> list[str]:
    """Bring a database up to date and return the names of the files that were applied now.

    The role of ``dsn`` becomes the owner of what is made; it needs CREATEROLE unless ``alliance_app`` and
    ``alliance_auditor`` exist.

    Raises:
        MigrationChangedError: an applied file is no longer what it was.
        StoreUnavailableError: the database cannot be reached.

    """
    try:
        connection = await AsyncConnection.connect(dsn, autocommit=True, application_name="alliance-migrate")
    except psycopg.OperationalError as error:
        raise StoreUnavailableError(
            f"The {which} database cannot be reached ({type(error).__name__}): check its DSN and that it runs."
        ) from error
    async with connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # until this connection closes
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS applied_migrations "
            "(name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        cursor = await connection.execute("SELECT name, sha256 FROM applied_migrations")
        applied: dict[str, str] = dict(await cursor.fetchall())
        return [name for name, text in _files(folder / which) if await _apply(connection, name, text, applied)]


def _files(folder: Path) -> list[tuple[str, bytes]]:
    return [(file.name, file.read_bytes()) for file in sorted(folder.glob("*.sql"))]


async def _apply(connection: AsyncConnection, name: str, text: bytes, applied: Mapping[str, str]) -> bool:
    """Apply one file unless it has been; say whether it was applied now."""
    digest = hashlib.sha256(text).hexdigest()
    if name in applied:
        if applied[name] != digest:
            raise MigrationChangedError(
                f"Migration {name} was changed after it was applied: restore the file and put the change into a "
                "new one."
            )
        return False
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute("INSERT INTO applied_migrations (name, sha256) VALUES (%s, %s)", (name, digest))
    _log.info("migration_applied", migration=name)
    return True
