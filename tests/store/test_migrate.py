"""Migrations."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import psycopg
import pytest

import store
from store.errors import MigrationChangedError, StoreUnavailableError
from store.migrate import migrate
from tests.store.conftest import WHICH, Database, Which

FILES = Path(store.__file__).parent / "migrations"


def names(which: Which) -> list[str]:
    """List the migration files there are."""
    return sorted(file.name for file in (FILES / which).glob("*.sql"))


@pytest.mark.parametrize("which", WHICH)
async def test_migrating_twice_is_migrating_once(empty: Database, which: Which) -> None:
    """The first run applies every file in order and says so, the second nothing."""
    assert names(which) == await migrate(empty.owner, which)
    assert [] == await migrate(empty.owner, which)


async def test_two_migrators_at_once_are_one(empty: Database) -> None:
    """Started together, one applies each file and the other waits and finds nothing to do."""
    applied = await asyncio.gather(migrate(empty.owner, "log"), migrate(empty.owner, "log"))

    assert [[], names("log")] == sorted(applied)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(FILES, tmp_path / "migrations"))


async def test_a_changed_migration_is_refused(empty: Database, folder: Path) -> None:
    """A file that was applied and edited since stops the migration, before anything newer is applied."""
    await migrate(empty.owner, "log", folder)
    with (folder / "log" / "0001_events.sql").open("a", encoding="utf-8") as file:
        file.write("-- improved\n")
    (folder / "log" / "0009_newer.sql").write_text("CREATE TABLE newer ()", encoding="utf-8")

    with pytest.raises(MigrationChangedError, match=r"0001_events\.sql was changed after it was applied"):
        await migrate(empty.owner, "log", folder)
    async with empty.connect(empty.owner) as owner:
        assert (None,) == await (await owner.execute("SELECT to_regclass('newer')")).fetchone()


async def test_a_failing_migration_leaves_nothing(empty: Database, folder: Path) -> None:
    """A file is applied whole or not at all, and can be mended and applied again."""
    broken = folder / "keys" / "0009_broken.sql"
    broken.write_text("CREATE TABLE half (); SELECT 1/0;", encoding="utf-8")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(empty.owner, "keys", folder)
    broken.write_text("CREATE TABLE half ();", encoding="utf-8")

    assert ["0009_broken.sql"] == await migrate(empty.owner, "keys", folder)


async def test_a_migration_and_its_note_are_one(empty: Database, folder: Path) -> None:
    """A file whose note cannot be written is not applied either: it would be applied twice."""
    (folder / "keys" / "0009_forgetful.sql").write_text(
        "CREATE TABLE half (); DROP TABLE applied_migrations;", encoding="utf-8"
    )
    with pytest.raises(psycopg.errors.UndefinedTable):
        await migrate(empty.owner, "keys", folder)
    async with empty.connect(empty.owner) as owner:
        assert (None,) == await (await owner.execute("SELECT to_regclass('half')")).fetchone()


async def test_an_unreachable_database_is_said_so(tmp_path: Path) -> None:
    """A wrong DSN is an outage with its database's name, not a driver's trace."""
    with pytest.raises(StoreUnavailableError, match="log database cannot be reached"):
        await migrate(f"host={tmp_path} dbname=none connect_timeout=2", "log")
