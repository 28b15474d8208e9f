"""S5, S7: what the therapist does around a dose: preparation before the first, integration after each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import Command, Context, Decision, Event, Obligation, Stamp, Task, accept, refuse
from domain.journey.scheduling import SessionKind, SessionStatus, booked, completed
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Preparation(Value):
    at: Instant
    therapist: ShortText


class Therapy(Value):
    preparations: tuple[Preparation, ...] = ()
    integrated: tuple[UUID, ...] = Field(default=(), description="dosing sessions that have their integration")


class CompletePreparation(Command, name="complete_preparation", by={Role.THERAPIST}):
    """Record a preparation session: intentions, fears, touch consent, safety plan, transport."""

    session_id: UUID
    intentions: LongText
    touch_consent: bool
    safety_plan: LongText
    transport_plan: LongText


class CompleteIntegration(Command, name="complete_integration", by={Role.THERAPIST}):
    """Record an integration session. A session record, not a psychotherapy note (domain.md §8.2.3)."""

    session_id: UUID
    dosing_session_id: UUID
    themes: LongText
    actions: LongText
    adverse_events_rechecked: bool


class PreparationCompleted(Event, type="preparation_completed.v1"):
    session_id: UUID
    intentions: LongText
    touch_consent: bool
    safety_plan: LongText
    transport_plan: LongText
    therapist: ShortText


class IntegrationCompleted(Event, type="integration_completed.v1"):
    session_id: UUID
    dosing_session_id: UUID
    themes: LongText
    actions: LongText
    adverse_events_rechecked: bool


Commands: TypeAlias = CompletePreparation | CompleteIntegration
Events: TypeAlias = PreparationCompleted | IntegrationCompleted


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case CompletePreparation():
            if journey.stage not in {Stage.PREPARING, Stage.DOSING_COURSE}:
                return refuse(Code.NO_ACTIVE_ELIGIBILITY, "preparation follows a favourable eligibility decision")
            session = booked(journey, command.session_id, SessionKind.PREPARATION, ctx)
            if isinstance(session, Decision):
                return session
            return accept(PreparationCompleted(**dict(command), therapist=ctx.actor.subject))
        case CompleteIntegration():
            record = journey.dosing.find(command.dosing_session_id)
            if record is None or record.released_at is None:
                return refuse(Code.WRONG_STAGE, "integration follows a dosing session that has ended")
            if command.dosing_session_id in journey.therapy.integrated:
                return refuse(Code.ALREADY_DONE, "this dosing session has its integration")
            session = booked(journey, command.session_id, SessionKind.INTEGRATION, ctx)
            if isinstance(session, Decision):
                return session
            return accept(IntegrationCompleted(**dict(command)))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here = journey.therapy
    match event:
        case PreparationCompleted():
            held = Preparation(at=stamp.occurred_at, therapist=event.therapist)
            here = here.model_copy(update={"preparations": (*here.preparations, held)})
        case IntegrationCompleted():
            here = here.model_copy(update={"integrated": (*here.integrated, event.dosing_session_id)})
        case _:
            assert_never(event)
    sessions = completed(journey, event.session_id, stamp)
    return journey.model_copy(update={"therapy": here, "sessions": sessions})


def preparations_with_current_therapist(journey: Journey) -> int:
    """Preparations held with the therapist who leads now (INV-4)."""
    current = journey.care_team.therapist.subject
    return sum(held.therapist == current for held in journey.therapy.preparations)


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """Preparation before the first dose, integration within a week of each (SLA-9)."""
    owed: list[Obligation] = []
    decision = journey.eligibility.decision
    if (
        journey.stage is Stage.PREPARING
        and decision is not None
        and preparations_with_current_therapist(journey) < policy.preparation.sessions_min
        and not journey.sessions.of(SessionKind.PREPARATION, SessionStatus.SCHEDULED)
    ):
        by = decision.decided_at + timedelta(days=policy.clocks.first_dose_days)
        owed.append(Task(key="preparation/book", code="BOOK_PREPARATION", owner=Role.THERAPIST, due_at=by))
    for record in journey.dosing.records:
        if record.released_at is not None and record.lines and record.session_id not in journey.therapy.integrated:
            by = record.released_at + timedelta(days=policy.dosing.integration_days_max)
            key = f"integration/{record.session_id}"
            owed.append(Task(key=key, code="HOLD_INTEGRATION", owner=Role.THERAPIST, due_at=by))
    return tuple(owed)
