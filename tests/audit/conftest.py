"""A stack as ``alliance up`` leaves it, two journeys in it, and somebody who may do everything to its database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from temporalio.client import Client

from audit.fold import fold
from audit.ledgers import Log, open_keys, open_log, open_temporal
from domain import journey as rules
from domain.envelope import Role
from domain.journey import Journey
from runtime.settings import load_settings
from stack.embedded import EmbeddedStack, StackOptions
from store.keys import KeyStore
from store.pool import open_pool
from store.projections import Projections
from tests.replay.asking import envelope, opened, send, until

RESTORE = (
    "ALTER TABLE events DISABLE TRIGGER append_only",
    "DELETE FROM events",
    "INSERT INTO events SELECT * FROM kept_events",
    "DELETE FROM journey_summaries",
    "INSERT INTO journey_summaries SELECT * FROM kept_summaries",
    "DELETE FROM worklist_items",
    "INSERT INTO worklist_items SELECT * FROM kept_worklist",
)


class StackWithoutApi(EmbeddedStack):
    """An auditor needs neither API nor log-in, and they would cost every test run seconds."""

    async def _start_api(self) -> None:
        return

    async def _start_identity(self) -> None:
        return


@dataclass(frozen=True)
class Clinic:
    """A running stack, what an auditor opens in it, and its two journeys: ``journey`` has the longer history."""

    state_dir: Path
    superuser: str
    log: Log
    keys: KeyStore
    client: Client
    journey: UUID
    other: UUID


@pytest.fixture(scope="package")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """Settings of the stack, for this process and those that it starts, for as long as these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="package")
async def clinic(environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    """Boot the stack, live two journeys until nothing is owed to any system, and stop everything at the end."""
    state_dir = tmp_path_factory.mktemp("stack")
    async with StackWithoutApi(StackOptions(state_dir=state_dir)) as stack, AsyncExitStack() as resources:
        for name, value in stack.env.items():
            environment.setenv(name, value)
        settings = load_settings()
        log = await resources.enter_async_context(open_log(settings))
        keys = await resources.enter_async_context(open_keys(settings))
        assert isinstance(keys, KeyStore)
        client = await open_temporal(settings, keys)
        journey = await lived(client, log, keys, commands=True)
        other = await lived(client, log, keys, commands=False)
        yield Clinic(state_dir, settings.need("log_owner_database_url"), log, keys, client, journey, other)
        # temporalio/sdk-python#300: the loop must not close right after a client was used.
        await asyncio.sleep(0.3)


async def lived(client: Client, log: Log, keys: KeyStore, *, commands: bool) -> UUID:
    """A journey that was referred, and with ``commands`` went on into a second run."""
    journey_id = uuid4()
    made = await keys.open_journey(journey_id, "therapist-1", uuid4(), "a" * 64)
    handle = await opened(client, journey_id, made.patient_id)
    if commands:
        await send(handle, envelope("acknowledge_referral", Role.COORDINATOR))
        await send(handle, envelope("accept_referral", Role.COORDINATOR))
        await send(handle, envelope("record_measurements", Role.ON_CALL, {"weight_kg": 68.0, "height_cm": 170.0}))

    async def nothing_owed() -> bool:
        records = await log.events.read(journey_id, await keys.key_for_journey(journey_id))
        state, _ = fold(journey_id, records)
        return isinstance(state, Journey) and not state.outbox.owed

    await until(nothing_owed)
    return journey_id


@pytest.fixture
async def tampering(clinic: Clinic) -> AsyncIterator[AsyncConnection]:
    """A superuser with the log's own defences switched off; afterwards everything is as it was."""
    async with await AsyncConnection.connect(clinic.superuser, autocommit=True) as connection:
        await connection.execute("DROP TABLE IF EXISTS kept_events, kept_summaries, kept_worklist")
        await connection.execute("CREATE TABLE kept_events AS TABLE events")
        await connection.execute("CREATE TABLE kept_summaries AS TABLE journey_summaries")
        await connection.execute("CREATE TABLE kept_worklist AS TABLE worklist_items")
        await connection.execute("ALTER TABLE events DISABLE TRIGGER append_only")
        await connection.execute("ALTER TABLE events DROP CONSTRAINT IF EXISTS columns_are_the_header")
        yield connection
        for statement in RESTORE:
            await connection.execute(statement)


async def refold(clinic: Clinic) -> None:
    """Make the read models of ``journey`` fit its events again, as a careful forger would."""
    records = await clinic.log.events.read(clinic.journey, await clinic.keys.key_for_journey(clinic.journey))
    state, refused = fold(clinic.journey, records)
    assert refused is None
    assert isinstance(state, Journey)
    pool = await open_pool(clinic.superuser)
    try:
        assert await Projections(pool).replace_all(clinic.journey, *rules.project(state), version=state.version)
    finally:
        await pool.close()
