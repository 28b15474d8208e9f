"""Connections, claims and the SQL loader."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from store.claims import EffectClaims
from store.errors import StoreError, StoreUnavailableError
from store.log import EventLog
from store.pool import Pool, fetch_one, open_pool
from store.queries import load
from tests.store.conftest import Database, pooled
from tests.vault.records import JOURNEY, KEY, request


async def test_no_server_is_an_outage(tmp_path: Path) -> None:
    """A database that cannot be reached is StoreUnavailableError within the time allowed, and says what to check."""
    with pytest.raises(StoreUnavailableError, match="check that it runs"):
        await open_pool(f"host={tmp_path} dbname=none", timeout_seconds=0.3)


async def test_a_full_pool_is_an_outage(log_database: Database) -> None:
    """When every connection is taken for too long, the caller is told to send the same call again."""
    pool = await open_pool(log_database.app, min_size=1, max_size=1, timeout_seconds=0.2)
    async with pool.connection():
        with pytest.raises(StoreUnavailableError, match="send the same call again"):
            await EventLog(pool).head(JOURNEY)
    await pool.close()


async def test_an_error_quotes_no_value(log: EventLog, pool: Pool) -> None:
    """A refused statement is named by its code and constraint, without the row's values."""
    await log.append(request(), KEY)

    with pytest.raises(StoreError) as error:
        await fetch_one(
            pool, "INSERT INTO effect_claims (key, journey_id, attempts) VALUES ('secret', %(id)s, -1)", {"id": JOURNEY}
        )
    assert "effect_claims_attempts_check" in str(error.value)
    assert "secret" not in str(error.value)


async def test_a_pool_comes_back_after_its_connections_were_cut(log_database: Database) -> None:
    """A restart of the server costs the calls that were in flight, and no more."""
    async with pooled(log_database.app, "doomed") as pool:
        await EventLog(pool).head(JOURNEY)
        await log_database.cut("doomed")
        with pytest.raises(StoreUnavailableError):
            await EventLog(pool).head(JOURNEY)

        assert 0 == (await EventLog(pool).head(JOURNEY)).version


async def test_the_first_claim_is_free_and_the_next_are_not(pool: Pool) -> None:
    """Only the first claim of a key says that nobody has tried yet, also when many come at once."""
    claims, journey_id = EffectClaims(pool), uuid4()

    claimed = await asyncio.gather(*(claims.claim("a", journey_id) for _ in range(4)))

    assert [False, True, True, True] == sorted(claimed)
    assert not await claims.claim("b", journey_id)
    assert (4, True) == await fetch_one(
        pool, "SELECT attempts, last_claimed_at >= first_claimed_at FROM effect_claims WHERE key = 'a'"
    )


def test_every_statement_is_named_and_whole() -> None:
    """Each SQL file splits into its named statements, and no statement holds another's header."""
    for name in ("log", "keys", "projections", "claims"):
        statements = load(name)

        assert statements
        assert all(text.strip() and " --\n" not in text for text in statements.values())
