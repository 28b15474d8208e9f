"""What the API needs from the rest of the house, as small protocols: the stores and Temporal fit them, and so do fakes.

``Journeys`` also fixes what can go wrong with a command, in four kinds that mean different things to the client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from api.auth import TokenVerifier
from api.inbox import Inbox
from domain.effects import EffectOutcome, PageOnCall
from domain.envelope import AppendResult, CommandEnvelope, EventRecord, FactEnvelope, JourneySummary, Role
from runtime.settings import Settings
from store.keys import OpenedJourney
from store.log import StoredEvent, StreamHead
from store.projections import JourneyItem
from vault.keys import DataKey, KeySource
from workflows.contracts import CommandAnswer, EscalationStart, JourneyStart


class RefusedError(Exception):
    """The journey answered: no. ``code`` is a ``domain.codes.Code`` or ``MALFORMED``; ``message`` is the domain's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class NotRunningError(Exception):
    """No such journey runs: it is unknown, closed, or about to be rehydrated. The log knows which."""


class StillWorkingError(Exception):
    """The command stands in history and will be answered; not within our time."""


class OutcomeUnknownError(Exception):
    """Temporal gave no answer. The command may or may not have arrived; the same one may be sent again."""


class Journeys(Protocol):
    """The running journeys. Commands raise the four errors above, StoreUnavailableError and the vault's key errors."""

    async def open(self, start: JourneyStart, envelope: CommandEnvelope) -> CommandAnswer:
        """Start a journey with its first command, once however often it is asked."""
        ...

    async def send(self, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
        """Send a command and wait for its answer, for as long as a client can be kept waiting."""
        ...

    async def report(self, journey_id: UUID, fact: FactEnvelope) -> None:
        """Hand over a fact; it is in history when this returns. Raises NotRunningError, OutcomeUnknownError."""
        ...

    async def escalate(self, start: EscalationStart) -> None:
        """Start paging for a case, once. Raises OutcomeUnknownError or StoreUnavailableError."""
        ...


class Log(Protocol):
    """``store.log.EventLog``, reading."""

    async def read(self, journey_id: UUID, key: DataKey) -> list[EventRecord]: ...

    async def read_raw(self, journey_id: UUID) -> list[StoredEvent]: ...

    async def head(self, journey_id: UUID) -> StreamHead: ...

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None: ...


class Lists(Protocol):
    """``store.projections.Projections``, reading."""

    async def summary(self, journey_id: UUID) -> JourneySummary | None: ...

    async def summaries(self, *, stage: str | None = None, limit: int = 100) -> list[JourneySummary]: ...

    async def worklist(self, owner: Role | None = None, limit: int = 100) -> list[JourneyItem]: ...


class Keys(KeySource, Protocol):
    """``store.keys.KeyStore``."""

    async def open_journey(
        self, journey_id: UUID, subject: str, idempotency_key: UUID, request_digest: str
    ) -> OpenedJourney: ...


class Pager(Protocol):
    """``activities.paging.Pager``."""

    async def send(self, key: str, request: PageOnCall) -> EffectOutcome: ...

    async def lookup(self, key: str, request: PageOnCall) -> EffectOutcome | None: ...


Probe = Callable[[], Awaitable[object]]
"""Asks one system for a sign of life; raises when there is none."""


@dataclass(frozen=True)
class Ports:
    """Everything that a request may reach. ``workers`` ask, by task queue, whether somebody polls it."""

    settings: Settings
    tokens: TokenVerifier
    journeys: Journeys
    log: Log
    lists: Lists
    keys: Keys
    pager: Pager
    inbox: Inbox
    probes: Mapping[str, Probe]
    workers: Mapping[str, Probe]
