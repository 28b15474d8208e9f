"""Sessions in the calendar, of all kinds: intake, preparation, dosing, integration, follow-up.

Booking is about calendars, not about safety: a dose may be booked that no gate would let through today.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import (
    CLINICIANS,
    Command,
    Context,
    Decision,
    Event,
    HistoryCorruptError,
    Obligation,
    Stamp,
    Task,
    accept,
    refuse,
)
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class SessionKind(StrEnum):
    INTAKE = "intake"
    PREPARATION = "preparation"
    DOSING = "dosing"
    INTEGRATION = "integration"
    FOLLOW_UP = "follow_up"


class SessionStatus(StrEnum):
    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Session(Value):
    """One appointment. Its id is the id of the command that booked it."""

    session_id: UUID
    kind: SessionKind
    starts_at: Instant
    ends_at: Instant
    practitioner: ShortText
    status: SessionStatus = SessionStatus.SCHEDULED
    completed_at: Instant | None = None


class Sessions(Value):
    all: tuple[Session, ...] = ()

    def find(self, session_id: UUID) -> Session | None:
        return next((s for s in self.all if s.session_id == session_id), None)

    def of(self, kind: SessionKind, status: SessionStatus) -> tuple[Session, ...]:
        return tuple(s for s in self.all if s.kind is kind and s.status is status)

    def next_after(self, moment: datetime) -> Session | None:
        """The next scheduled session that has not ended yet."""
        ahead = (s for s in self.all if s.status is SessionStatus.SCHEDULED and s.ends_at >= moment)
        return min(ahead, key=lambda s: (s.starts_at, s.session_id), default=None)

    def replace(self, session_id: UUID, **change: object) -> Sessions:
        return Sessions(all=tuple(s.model_copy(update=change) if s.session_id == session_id else s for s in self.all))


LED_BY_PRESCRIBER = frozenset({SessionKind.INTAKE, SessionKind.FOLLOW_UP})
BOOKED_AHEAD_MAX = timedelta(days=2 * 366)
"""Longer than any course with its follow-up year: a session beyond it is a slip of the pen, not an appointment."""
OWNER = {kind: Role.PRESCRIBER if kind in LED_BY_PRESCRIBER else Role.THERAPIST for kind in SessionKind}


class ScheduleSession(Command, name="schedule_session", by={Role.COORDINATOR, Role.THERAPIST, Role.PRESCRIBER}):
    """Book a session. The practitioner is the journey's prescriber or therapist, by the kind of session."""

    kind: SessionKind
    starts_at: Instant
    minutes: int = Field(ge=10, le=600)


class CancelSession(Command, name="cancel_session", by={Role.PATIENT, Role.COORDINATOR, *CLINICIANS}):
    """Cancel a booked session."""

    session_id: UUID
    reason: LongText


class RecordNoShow(Command, name="record_no_show", by={Role.COORDINATOR, *CLINICIANS}):
    """Record that the patient did not come."""

    session_id: UUID


class SessionScheduled(Event, type="session_scheduled.v1"):
    session_id: UUID
    kind: SessionKind
    starts_at: Instant
    ends_at: Instant
    practitioner: ShortText


class SessionCancelled(Event, type="session_cancelled.v1"):
    session_id: UUID
    reason: LongText


class NoShowRecorded(Event, type="no_show_recorded.v1"):
    session_id: UUID


Commands: TypeAlias = ScheduleSession | CancelSession | RecordNoShow
Events: TypeAlias = SessionScheduled | SessionCancelled | NoShowRecorded


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case ScheduleSession():
            return _schedule(journey, command, ctx)
        case CancelSession(session_id=session_id):
            session = journey.sessions.find(session_id)
            if session is None or session.status is not SessionStatus.SCHEDULED:
                return refuse(Code.NOT_FOUND, "no such session is booked")
            if journey.dosing.running(session_id):
                return refuse(Code.WRONG_STAGE, "dosing has started; it ends with a release")
            return accept(SessionCancelled(session_id=session_id, reason=command.reason))
        case RecordNoShow(session_id=session_id):
            session = journey.sessions.find(session_id)
            if session is None or session.status is not SessionStatus.SCHEDULED or session.starts_at > ctx.at:
                return refuse(Code.NOT_FOUND, "no such session was due by now")
            if journey.dosing.running(session_id):
                return refuse(Code.WRONG_STAGE, "dosing has started; the patient is there")
            return accept(NoShowRecorded(session_id=session_id))
        case _:
            assert_never(command)


def _schedule(journey: Journey, command: ScheduleSession, ctx: Context) -> Decision:
    if journey.stage in {Stage.REFERRED, Stage.INELIGIBLE}:
        return refuse(Code.WRONG_STAGE, "sessions are booked between the acceptance of a referral and its end")
    if command.starts_at < ctx.at:
        return refuse(Code.WRONG_STAGE, "a session is booked ahead of its start")
    if command.starts_at > ctx.now + BOOKED_AHEAD_MAX:
        return refuse(Code.WRONG_STAGE, "a session is booked at most two years ahead; correct its date")
    prescriber = journey.care_team.prescriber
    if command.kind in LED_BY_PRESCRIBER and prescriber is None:
        return refuse(Code.NOT_FOUND, "assign a prescriber first")
    practitioner = (
        prescriber.subject
        if prescriber is not None and command.kind in LED_BY_PRESCRIBER
        else journey.care_team.therapist.subject
    )
    ends_at = command.starts_at + timedelta(minutes=command.minutes)
    return accept(
        SessionScheduled(
            session_id=ctx.command_id,
            kind=command.kind,
            starts_at=command.starts_at,
            ends_at=ends_at,
            practitioner=practitioner,
        )
    )


_CLOSING = {SessionCancelled: SessionStatus.CANCELLED, NoShowRecorded: SessionStatus.NO_SHOW}


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    match event:
        case SessionScheduled():
            sessions = Sessions(all=(*journey.sessions.all, Session(**dict(event))))
        case SessionCancelled(session_id=session_id) | NoShowRecorded(session_id=session_id):
            if journey.sessions.find(session_id) is None:
                raise HistoryCorruptError(f"{event.type} at {stamp.sequence} for an unknown session")
            sessions = journey.sessions.replace(session_id, status=_CLOSING[type(event)])
        case _:
            assert_never(event)
    return journey.model_copy(update={"sessions": sessions})


def completed(journey: Journey, session_id: UUID, stamp: Stamp) -> Sessions:
    """The calendar after a session was held."""
    return journey.sessions.replace(session_id, status=SessionStatus.COMPLETED, completed_at=stamp.occurred_at)


def booked(journey: Journey, session_id: UUID, kind: SessionKind, ctx: Context) -> Decision | Session:
    """The booked session of this kind, or why there is none that could be held now."""
    session = journey.sessions.find(session_id)
    if session is None or session.kind is not kind:
        return refuse(Code.NOT_FOUND, f"no {kind} session of this id is booked")
    if session.status is not SessionStatus.SCHEDULED:
        return refuse(Code.ALREADY_DONE, f"this session is {session.status}")
    if session.practitioner != ctx.actor.subject:
        return refuse(Code.ROLE, "only the practitioner whom this session is booked with can hold it")
    return session


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """Every booked session is owed by whoever leads it: held, cancelled or recorded as a no-show."""
    length = timedelta(hours=policy.clocks.session_note_hours)
    return tuple(
        Task(
            key=f"session/{session.session_id}",
            code=f"HOLD_{session.kind.upper()}_SESSION",
            owner=OWNER[session.kind],
            due_at=session.ends_at + length,
        )
        for session in journey.sessions.all
        if session.status is SessionStatus.SCHEDULED
    )
