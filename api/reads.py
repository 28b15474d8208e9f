"""Reading: one journey by folding its log, lists from the read models. Every read is logged as an access.

No rule ever looks here; and no answer here holds more than the reader's role may see.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from api.access import (
    SEES,
    ActingRole,
    Authenticated,
    PortsOf,
    PurposeOfUse,
    acting_as,
    allowed,
    note_access,
    reading_as,
)
from api.ports import Ports
from api.problems import ProblemError, documented, unknown_journey
from api.submitting import find_answer
from domain.envelope import Actor, Header, JourneySummary, Purpose, Role, WorklistItem
from domain.journey import Journey, NotOpened, fold, parse_event, project
from domain.journey.assessment import Point
from domain.journey.referral import JourneyOpened
from domain.journey.stages import Stage
from domain.values import Instant, Json, Value
from vault.canonical import parse_header
from workflows.contracts import CommandAnswer

OVERSEERS = frozenset({Role.COORDINATOR, Role.MEDICAL_DIRECTOR, Role.ON_CALL, Role.AUDITOR})
"""Who may see all journeys at once, in codes and dates. Therapists and prescribers read their own, one by one."""


class Proof(Value):
    """Where a journey's chain ends: what an auditor compares."""

    version: int
    chain_head: str


class JourneyView(Value):
    """One journey as its reader may see it.

    ``state`` holds the journey's own fields (see the events' reference), reduced to what the role sees.
    """

    journey_id: UUID
    seen_as: Role
    version: int
    stage: Stage | None = None
    summary: JourneySummary | None = None
    worklist: tuple[WorklistItem, ...] | None = None
    state: Json | None = None
    proof: Proof | None = None


class TimelineEntry(Value):
    """One event without its content. ``event_id``, ``command_id`` and ``hash`` are for the auditor alone."""

    sequence: int
    type: str
    occurred_at: Instant
    recorded_at: Instant
    actor_role: Role
    policy_version: str
    event_id: UUID | None = None
    command_id: UUID | None = None
    hash: str | None = None


class Timeline(Value):
    journey_id: UUID
    entries: tuple[TimelineEntry, ...]


class OutcomeSeries(Value):
    """Totals over time by instrument. WAI-SR totals belong to the therapist that each names."""

    journey_id: UUID
    series: dict[str, tuple[Point, ...]]


class WorklistRow(WorklistItem):
    journey_id: UUID


Limit = Annotated[int, Query(ge=1, le=500)]
JOURNEY = "/journeys/{journey_id}"
router = APIRouter(tags=["reads"], responses=documented(401, 403, 422, 503))


class Reader(NamedTuple):
    """Who reads a journey, in which role. ``journey`` is None for an auditor, who needs no key."""

    actor: Actor
    purpose: Purpose
    journey: Journey | None


async def reader_of(
    journey_id: UUID,
    ports: PortsOf,
    principal: Authenticated,
    acting_role: ActingRole = None,
    purpose: PurposeOfUse = Purpose.TREAT,
) -> Reader:
    """Find in which role the principal may read this journey. Raises ProblemError 403 or 404."""
    roles = allowed(principal, {*SEES, Role.AUDITOR}, acting_role)
    clinical = tuple(role for role in roles if role in SEES)
    journey = await _fold(ports, journey_id) if clinical else None
    role = reading_as(journey, principal, roles) if journey is not None else Role.AUDITOR
    if role is Role.AUDITOR and not (await ports.log.head(journey_id)).version:
        raise unknown_journey()
    actor = Actor(subject=principal.subject, role=role)
    return Reader(actor, purpose, None if role is Role.AUDITOR else journey)


ReaderOf = Annotated[Reader, Depends(reader_of)]


@router.get(JOURNEY, response_model_exclude_none=True, responses=documented(404), summary="Read a journey")
async def read_journey(journey_id: UUID, ports: PortsOf, reader: ReaderOf) -> JourneyView:
    """Where a journey stands, as far as the reader's role sees it."""
    journey, role = reader.journey, reader.actor.role
    note_access("read_journey", reader.actor, reader.purpose, journey_id)
    if journey is None:
        head = await ports.log.head(journey_id)
        proof = Proof(version=head.version, chain_head=head.chain_head)
        return JourneyView(journey_id=journey_id, seen_as=role, version=head.version, proof=proof)
    summary, items = project(journey)
    is_patient = role is Role.PATIENT
    return JourneyView(
        journey_id=journey_id,
        seen_as=role,
        version=journey.version,
        stage=journey.stage,
        summary=None if is_patient else summary,
        worklist=tuple(item for item in items if item.owner is role) if is_patient else items,
        state=journey.model_dump(mode="json", include=SEES[role]) if SEES[role] else None,
    )


@router.get(
    f"{JOURNEY}/timeline", response_model_exclude_none=True, responses=documented(404), summary="Read a timeline"
)
async def read_timeline(journey_id: UUID, ports: PortsOf, reader: ReaderOf) -> Timeline:
    """Every event's type, times and role; for an auditor its ids and its hash as well."""
    rows = await ports.log.read_raw(journey_id)
    note_access("read_timeline", reader.actor, reader.purpose, journey_id, len(rows))
    is_auditor = reader.actor.role is Role.AUDITOR
    entries = (_entry(parse_header(row.header), row.hash.hex() if is_auditor else None) for row in rows)
    return Timeline(journey_id=journey_id, entries=tuple(entries))


@router.get(
    f"{JOURNEY}/outcomes", response_model_exclude_none=True, responses=documented(404), summary="Read the outcomes"
)
async def read_outcomes(journey_id: UUID, reader: ReaderOf) -> OutcomeSeries:
    """Totals of every instrument over time."""
    if reader.journey is None or not SEES[reader.actor.role]:
        raise ProblemError(403, "ROLE", "Scores are for the patient and the care team.")
    series = reader.journey.assessments.series
    note_access("read_outcomes", reader.actor, reader.purpose, journey_id, len(series))
    return OutcomeSeries(journey_id=journey_id, series=series)


@router.get(
    f"{JOURNEY}/commands/{{command_id}}",
    response_model_exclude_none=True,
    responses=documented(404),
    summary="See what a command came to",
)
async def read_command(journey_id: UUID, command_id: UUID, ports: PortsOf, reader: ReaderOf) -> CommandAnswer:
    """Where a 202 points to: the command's answer, once it is in the log."""
    found = await find_answer(ports, journey_id, command_id)
    note_access("read_command", reader.actor, reader.purpose, journey_id)
    if found is None:
        detail = "Not in the log: on its way, refused, or never sent. Send it again with the same key to know."
        raise ProblemError(404, "NOT_ANSWERED", detail, journey_id=journey_id)
    return found


@router.get("/journeys", response_model_exclude_none=True, summary="List journeys, the next due first")
async def list_journeys(
    ports: PortsOf,
    actor: Annotated[Actor, Depends(acting_as(OVERSEERS))],
    stage: Stage | None = None,
    limit: Limit = 100,
    purpose: PurposeOfUse = Purpose.HEALTHCARE_OPERATIONS,
) -> list[JourneySummary]:
    """Codes and dates of every journey."""
    found = await ports.lists.summaries(stage=stage, limit=limit)
    note_access("list_journeys", actor, purpose, None, len(found))
    return found


@router.get("/worklist", summary="List what people owe, overdue first")
async def read_worklist(
    ports: PortsOf,
    actor: Annotated[Actor, Depends(acting_as(OVERSEERS - {Role.AUDITOR}))],
    owner: Role | None = None,
    limit: Limit = 100,
    purpose: PurposeOfUse = Purpose.HEALTHCARE_OPERATIONS,
) -> list[WorklistRow]:
    """Codes and dates of everything that waits for a person."""
    found = await ports.lists.worklist(owner, limit)
    note_access("read_worklist", actor, purpose, None, len(found))
    return [WorklistRow(journey_id=row.journey_id, **dict(row.item)) for row in found]


async def _fold(ports: Ports, journey_id: UUID) -> Journey:
    """Fold a journey from its log. Raises ProblemError 404, KeyUnknownError, KeyShreddedError."""
    records = await ports.log.read(journey_id, await ports.keys.key_for_journey(journey_id))
    if not records:
        raise unknown_journey()
    opened = parse_event(records[0].header.type, records[0].content.data)
    assert isinstance(opened, JourneyOpened)
    start = NotOpened(
        journey_id=journey_id, patient_id=opened.patient_id, clock_shift_seconds=opened.clock_shift_seconds
    )
    journey = fold(start, records)
    assert isinstance(journey, Journey)
    return journey


def _entry(header: Header, chain_hash: str | None) -> TimelineEntry:
    proving = chain_hash is not None
    return TimelineEntry(
        sequence=header.sequence,
        type=header.type,
        occurred_at=header.occurred_at,
        recorded_at=header.recorded_at,
        actor_role=header.actor.role,
        policy_version=header.policy.version,
        event_id=header.event_id if proving else None,
        command_id=header.command_id if proving else None,
        hash=chain_hash,
    )
