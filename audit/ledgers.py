"""Both ledgers and the keys, as an auditor reaches them: the runtime role of the databases, a client of Temporal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from temporalio.client import Client

from domain.envelope import JourneySummary, WorklistItem
from runtime.settings import Settings
from runtime.temporal import connect
from store.keys import KeyStore
from store.log import EventLog, StoredEvent
from store.pool import open_pool
from store.projections import Projections
from vault.kek import LocalFileKek
from vault.keys import KeySource

_ALL = 2**31 - 1
_READS_MAX = 5


class Stored(NamedTuple):
    """All that the log database holds of one journey."""

    journey_id: UUID
    rows: list[StoredEvent]
    summary: JourneySummary | None
    worklist: tuple[WorklistItem, ...]


@dataclass(frozen=True)
class Log:
    """The log database, read only."""

    events: EventLog
    projections: Projections

    async def read(self, journey_ids: list[UUID]) -> list[Stored]:
        """Read these journeys. One that is appended to meanwhile is read again, until its parts fit together."""
        stored = [await self._read(journey_id) for journey_id in journey_ids]
        worklists: dict[UUID, list[WorklistItem]] = {}
        for entry in await self.projections.worklist(limit=_ALL):
            worklists.setdefault(entry.journey_id, []).append(entry.item)
        return [each._replace(worklist=tuple(worklists.get(each.journey_id, ()))) for each in stored]

    async def _read(self, journey_id: UUID) -> Stored:
        for _ in range(_READS_MAX):
            rows = await self.events.read_raw(journey_id)
            summary = await self.projections.summary(journey_id)
            if summary is None or not rows or summary.version == rows[-1].sequence:
                break
        return Stored(journey_id, rows, summary, ())


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Log]:
    """Open the log database. Raises SettingsError, StoreUnavailableError."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.need("log_database_url"), max_size=2, application_name="alliance-audit")
        stack.push_async_callback(pool.close)
        yield Log(EventLog(pool), Projections(pool))


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncIterator[KeySource]:
    """Open the key database. Raises SettingsError, StoreUnavailableError, KekFileError."""
    settings.check("keys_database_url", "kek_file")
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.need("keys_database_url"), max_size=2, application_name="alliance-audit")
        stack.push_async_callback(pool.close)
        yield KeyStore(pool, LocalFileKek.open(Path(settings.need("kek_file"))))


async def open_temporal(settings: Settings, keys: KeySource) -> Client:
    """Connect to Temporal. Raises TemporalUnavailableError."""
    return await connect(settings, keys)
