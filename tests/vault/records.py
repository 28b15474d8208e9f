"""Events, commands and keys for tests: valid, small, and different only where a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from domain.envelope import (
    GENESIS,
    Actor,
    AppendRequest,
    Content,
    EventRecord,
    Header,
    JourneySummary,
    PolicyRef,
    Purpose,
    Role,
    Sensitivity,
    WorklistItem,
)
from domain.values import NAMESPACE, Json
from vault.errors import KeyUnknownError
from vault.keys import DataKey

JOURNEY = UUID("0190aaaa-0000-7000-8000-000000000001")
KEY = DataKey(UUID("0190bbbb-0000-7000-8000-000000000001"), 1, bytes(range(32)))
START = datetime(2026, 3, 2, 9, 0, 0, 500, tzinfo=UTC)
DIGEST = "ab" * 32


def header(sequence: int = 1, journey_id: UUID = JOURNEY, command_id: UUID | None = None) -> Header:
    """A header whose every field is derived from its place."""
    return Header(
        event_id=uuid5(NAMESPACE, f"{journey_id}/{sequence}"),
        journey_id=journey_id,
        sequence=sequence,
        type="consent_recorded.v1",
        occurred_at=START + timedelta(minutes=sequence),
        recorded_at=START + timedelta(minutes=sequence, seconds=1),
        actor=Actor(subject="subject-7-é", role=Role.COORDINATOR, authenticated_at=START, methods=("pwd", "otp")),
        purpose=Purpose.TREAT,
        command_id=command_id or uuid5(NAMESPACE, f"{journey_id}/command/{sequence}"),
        policy=PolicyRef(version="2026-01", digest="cd" * 32),
        sensitivity=Sensitivity.PSYCHIATRIC,
        key_version=1,
    )


def content(data: Json | None = None) -> Content:
    """A content with this data, or a harmless one."""
    return Content(data={"form": "ketamine", "signed": True} if data is None else data, request_digest=DIGEST)


def summary(journey_id: UUID, version: int) -> JourneySummary:
    """A summary with every field set."""
    return JourneySummary(
        journey_id=journey_id,
        version=version,
        stage="sessions",
        protocol="im-racemic",
        policy_version="2026-01",
        hold="HOLD_SAFETY",
        next_action="REVIEW_HOLD",
        next_action_by=Role.PRESCRIBER,
        due_at=START + timedelta(days=version),
        next_session_at=START + timedelta(days=30),
        sla_state="at_risk",
        safety_open=True,
        opened_at=START,
    )


def request(
    *,
    journey_id: UUID = JOURNEY,
    first: int = 1,
    count: int = 1,
    head: str = GENESIS,
    command_id: UUID | None = None,
    data: Json | None = None,
    worklist: tuple[WorklistItem, ...] | None = None,
) -> AppendRequest:
    """An append of ``count`` records of one command."""
    command = command_id or uuid4()
    records = tuple(
        EventRecord(header=header(first + index, journey_id, command), content=content(data)) for index in range(count)
    )
    last = first + count - 1
    item = WorklistItem(key=f"review-{last}", code="REVIEW_HOLD", owner=Role.PRESCRIBER, due_at=START)
    return AppendRequest(
        journey_id=journey_id,
        expected_head=head,
        records=records,
        summary=summary(journey_id, last),
        worklist=(item,) if worklist is None else worklist,
    )


class Keys:
    """A ``KeySource`` over keys in memory."""

    def __init__(self, patients: dict[UUID, DataKey]) -> None:
        self.patients = patients
        self.system = DataKey(UUID("0190cccc-0000-7000-8000-000000000001"), 1, bytes(32))

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        if journey_id not in self.patients:
            raise KeyUnknownError("no such journey")
        return self.patients[journey_id]

    async def key_by_id(self, key_id: UUID) -> DataKey:
        for key in (self.system, *self.patients.values()):
            if key.key_id == key_id:
                return key
        raise KeyUnknownError("no such key")

    async def system_key(self) -> DataKey:
        return self.system
