"""Stand-ins for Temporal, the stores and the pager, where a fact is about HTTP alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID, uuid4

from domain.effects import EffectOutcome, Paged, PageOnCall
from domain.envelope import GENESIS, AppendResult, CommandEnvelope, EventRecord, FactEnvelope, JourneySummary, Role
from store.errors import StoreUnavailableError
from store.keys import OpenedJourney
from store.log import StoredEvent, StreamHead
from store.projections import JourneyItem
from vault.canonical import header_bytes
from vault.errors import KeyShreddedError, KeyUnknownError
from vault.keys import DataKey
from workflows.contracts import CommandAnswer, EscalationStart, JourneyStart

Behaviour: TypeAlias = Callable[[CommandEnvelope], Awaitable[CommandAnswer]]


class FakeJourneys:
    """Answers as ``behave`` says; remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[UUID, CommandEnvelope]] = []
        self.started: list[JourneyStart] = []
        self.facts: list[tuple[UUID, FactEnvelope]] = []
        self.escalations: list[EscalationStart] = []
        self.escalated = asyncio.Event()
        self.error: Exception | None = None
        self.escalation_error: Exception | None = None
        self.behave: Behaviour | None = None

    async def open(self, start: JourneyStart, envelope: CommandEnvelope) -> CommandAnswer:
        self.started.append(start)
        return await self.send(start.journey_id, envelope)

    async def send(self, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
        self.sent.append((journey_id, envelope))
        if self.behave is not None:
            return await self.behave(envelope)
        if self.error is not None:
            raise self.error
        return CommandAnswer(
            journey_id=journey_id, command_id=envelope.command_id, sequence=7, events=("something_happened.v1",)
        )

    async def report(self, journey_id: UUID, fact: FactEnvelope) -> None:
        if self.error is not None:
            raise self.error
        self.facts.append((journey_id, fact))

    async def escalate(self, start: EscalationStart) -> None:
        if self.escalation_error is not None:
            raise self.escalation_error
        self.escalations.append(start)
        self.escalated.set()


class FakeKeys:
    """One key for all; journeys that are ``unknown`` have none."""

    def __init__(self) -> None:
        self.key = DataKey.generate(uuid4(), 1)
        self.unknown: set[UUID] = set()
        self.shredded: set[UUID] = set()
        self.opened: dict[tuple[str, UUID], OpenedJourney] = {}
        self.is_down = False

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        if journey_id in self.unknown:
            raise KeyUnknownError("no key")
        if journey_id in self.shredded:
            raise KeyShreddedError("destroyed")
        return self.key

    async def key_by_id(self, key_id: UUID) -> DataKey:
        if key_id != self.key.key_id:
            raise KeyShreddedError("destroyed")
        return self.key

    async def system_key(self) -> DataKey:
        return self.key

    async def open_journey(
        self, journey_id: UUID, subject: str, idempotency_key: UUID, request_digest: str
    ) -> OpenedJourney:
        if self.is_down:
            raise StoreUnavailableError("the key database")
        found = self.opened.get((subject, idempotency_key))
        if found is not None:
            return found.model_copy(update={"already": True})
        opened = OpenedJourney(
            journey_id=journey_id, patient_id=uuid4(), key_version=1, already=False, request_digest=request_digest
        )
        self.opened[(subject, idempotency_key)] = opened
        return opened


class FakeLog:
    """A log of records that stand in clear."""

    def __init__(self) -> None:
        self.records: dict[UUID, tuple[EventRecord, ...]] = {}
        self.receipts: dict[UUID, AppendResult] = {}

    async def read(self, journey_id: UUID, key: DataKey) -> list[EventRecord]:
        return list(self.records.get(journey_id, ()))

    async def read_raw(self, journey_id: UUID) -> list[StoredEvent]:
        return [_stored(record) for record in self.records.get(journey_id, ())]

    async def head(self, journey_id: UUID) -> StreamHead:
        records = self.records.get(journey_id, ())
        return StreamHead(len(records), "ab" * 32 if records else GENESIS)

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None:
        return self.receipts.get(command_id)


def _stored(record: EventRecord) -> StoredEvent:
    header = record.header
    fields = header.model_dump(include=set(StoredEvent._fields)) | {
        "header": header_bytes(header),
        "ciphertext": b"sealed",
        "hash": b"\xab" * 32,
        "actor_subject": header.actor.subject,
        "actor_role": header.actor.role.value,
        "policy_version": header.policy.version,
    }
    return StoredEvent(**fields)


class FakeLists:
    """Read models as they are put here."""

    def __init__(self) -> None:
        self.rows: dict[UUID, JourneySummary] = {}
        self.items: list[JourneyItem] = []
        self.asked: list[tuple[object, ...]] = []

    async def summary(self, journey_id: UUID) -> JourneySummary | None:
        return self.rows.get(journey_id)

    async def summaries(self, *, stage: str | None = None, limit: int = 100) -> list[JourneySummary]:
        self.asked.append((stage, limit))
        return list(self.rows.values())

    async def worklist(self, owner: Role | None = None, limit: int = 100) -> list[JourneyItem]:
        self.asked.append((owner, limit))
        return self.items


class FakePager:
    """Remembers pages by key."""

    def __init__(self) -> None:
        self.pages: dict[str, PageOnCall] = {}
        self.rung: list[str] = []
        self.error: Exception | None = None

    async def send(self, key: str, request: PageOnCall) -> EffectOutcome:
        if self.error is not None:
            raise self.error
        self.rung.append(key)
        self.pages[key] = request
        return Paged(page_id="page-1")

    async def lookup(self, key: str, request: PageOnCall) -> EffectOutcome | None:
        return Paged(page_id="page-1") if key in self.pages else None
