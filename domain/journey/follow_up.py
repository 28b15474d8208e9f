"""S8: the prescriber's follow-up, about 30 days after the intake and before each new batch (INV-13)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Event,
    Obligation,
    Stamp,
    Task,
    accept,
    is_newest,
    refuse,
)
from domain.journey.scheduling import SessionKind, SessionStatus, booked, completed
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class FollowUps(Value):
    last_at: Instant | None = None
    last_sequence: int = 0
    last_decision: Literal["continue", "adjust", "pause", "stop"] | None = None


class CompleteFollowUp(Command, name="complete_follow_up", by={Role.PRESCRIBER}):
    """Record the medical follow-up and what the prescriber decided."""

    session_id: UUID
    decision: Literal["continue", "adjust", "pause", "stop"]
    adverse_events_reviewed: bool
    bladder_symptoms: bool
    plan_review: LongText | None = None
    rationale: LongText


class FollowUpCompleted(Event, type="follow_up_completed.v1"):
    session_id: UUID
    decision: Literal["continue", "adjust", "pause", "stop"]
    adverse_events_reviewed: bool
    bladder_symptoms: bool
    plan_review: LongText | None
    rationale: LongText


Commands: TypeAlias = CompleteFollowUp
Events: TypeAlias = FollowUpCompleted


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case CompleteFollowUp():
            session = booked(journey, command.session_id, SessionKind.FOLLOW_UP, ctx)
            if isinstance(session, Decision):
                return session
            if journey.outcomes.not_on_track and command.plan_review is None:
                return refuse(Code.EVIDENCE_MISSING, "MBC-1: the patient is not on track; record a plan review")
            return accept(FollowUpCompleted(**dict(command)))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    match event:
        case FollowUpCompleted():
            here = journey.follow_ups
            if is_newest(here.last_at, stamp):  # a note that is written late does not overrule a later "stop"
                here = FollowUps(last_at=stamp.occurred_at, last_sequence=stamp.sequence, last_decision=event.decision)
            sessions = completed(journey, event.session_id, stamp)
            return journey.model_copy(update={"follow_ups": here, "sessions": sessions})
        case _:
            assert_never(event)


def owed_before_dose(journey: Journey, policy: Protocol) -> bool:
    """Whether the next dose has to wait for a follow-up: after dose 2 and before dose 3 (INV-13)."""
    doses = sorted(record.lines[0].at for record in journey.dosing.records if record.lines)
    after, last = policy.dosing.follow_up_after_doses, journey.follow_ups.last_at
    return len(doses) >= after and (last is None or last < doses[after - 1])


def owed_before_batch(journey: Journey) -> bool:
    """Whether a new batch has to wait: there was no follow-up since the last prescription was signed."""
    signed = [rx.signed_at for rx in journey.prescriptions.issued if rx.signed_at is not None]
    last = journey.follow_ups.last_at
    return bool(signed) and (last is None or last < max(signed))


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """SLA-10: the first follow-up is due about 30 days after the intake."""
    intake = journey.eligibility.intake_completed_at
    if journey.stage not in {Stage.PREPARING, Stage.DOSING_COURSE} or intake is None:
        return ()
    last = journey.follow_ups.last_at
    if last is not None and not owed_before_dose(journey, policy):
        return ()
    if journey.sessions.of(SessionKind.FOLLOW_UP, SessionStatus.SCHEDULED):
        return ()
    by = (last or intake) + timedelta(days=policy.dosing.follow_up_breach_days)
    key = "follow_up/first" if last is None else f"follow_up/after/{last:%Y%m%d}"
    return (Task(key=key, code="BOOK_FOLLOW_UP", owner=Role.COORDINATOR, due_at=by),)
