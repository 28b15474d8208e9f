"""S9: the end of a course, and the end of a journey. A journey closes only with nothing left open (INV-26)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, assert_never

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import Command, Context, Decision, Event, Obligation, Stamp, Task, accept, refuse
from domain.journey.scheduling import SessionStatus
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import LongText

if TYPE_CHECKING:
    from domain.journey.state import Journey


class CompleteCourse(Command, name="complete_course", by={Role.PRESCRIBER}):
    """Complete the course: enough doses taken, every one integrated, the drug used up or accounted for."""

    relapse_plan: LongText


class CloseJourney(Command, name="close_journey", by={Role.PRESCRIBER, Role.COORDINATOR}):
    """Close the journey: after a completed course, or after an ineligible decision was explained."""

    reason: LongText


class CourseCompleted(Event, type="course_completed.v1"):
    relapse_plan: LongText
    doses_taken: int


class JourneyClosed(Event, type="journey_closed.v1"):
    reason: LongText


Commands: TypeAlias = CompleteCourse | CloseJourney
Events: TypeAlias = CourseCompleted | JourneyClosed


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case CompleteCourse():
            return _complete(journey, command, ctx.policy)
        case CloseJourney():
            if journey.stage not in {Stage.COURSE_COMPLETE, Stage.INELIGIBLE}:
                return refuse(Code.WRONG_STAGE, "a journey closes after its course, or after an ineligible decision")
            if left := _left_open(journey):
                return refuse(Code.OPEN_OBLIGATIONS, f"settle first: {', '.join(left)}")
            return accept(JourneyClosed(reason=command.reason))
        case _:
            assert_never(command)


def _complete(journey: Journey, command: CompleteCourse, policy: Protocol) -> Decision:
    if journey.stage is not Stage.DOSING_COURSE:
        return refuse(Code.WRONG_STAGE, "there is no course to complete")
    count, least = journey.dosing.count, policy.dosing.sessions_min
    if count < least:
        return refuse(Code.COURSE_INCOMPLETE, f"a course has at least {least} dosing sessions; taken: {count}")
    waiting = [r for r in journey.dosing.records if r.lines and r.session_id not in journey.therapy.integrated]
    if waiting:
        return refuse(Code.INTEGRATION_DUE, "complete the integration of every dose first")
    if left := _left_open(journey):
        return refuse(Code.OPEN_OBLIGATIONS, f"settle first: {', '.join(left)}")
    return accept(CourseCompleted(relapse_plan=command.relapse_plan, doses_taken=count))


def _left_open(journey: Journey) -> list[str]:
    """INV-26: what would be forgotten if this ended now."""
    left = []
    if journey.safety.open_case is not None:
        left.append("the open safety case")
    if journey.holds.open:
        left.append("open holds")
    if any(rx.sessions_left > 0 for rx in journey.prescriptions.issued):
        left.append("drug at home that was not counted")
    if any(s.status is SessionStatus.SCHEDULED for s in journey.sessions.all):
        left.append("booked sessions")
    if journey.outbox.rejected:
        left.append("what an outside system rejected")
    return left


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    match event:
        case CourseCompleted():
            return journey.model_copy(update={"stage": Stage.COURSE_COMPLETE, "course_completed_at": stamp.occurred_at})
        case JourneyClosed():
            return journey.model_copy(update={"stage": Stage.CLOSED, "closed_at": stamp.recorded_at})
        case _:
            assert_never(event)


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """Follow-up forms after the course; and while there is one, somebody books what comes next."""
    completed_at = journey.course_completed_at
    if completed_at is not None:
        last = journey.assessments.series.get(policy.outcomes.instruments[0], ())
        asked = [completed_at + timedelta(days=30 * months) for months in policy.outcomes.after_course_months]
        seen = last[-1].at if last else completed_at
        early = timedelta(days=policy.outcomes.after_course_early_days)
        ahead = [at for at in asked if at - early > max(seen, completed_at)]
        if ahead:
            key = f"after_course/{ahead[0]:%Y%m%d}"
            return (Task(key=key, code="SUBMIT_FOLLOW_UP_FORMS", owner=Role.PATIENT, due_at=ahead[0]),)
        by = policy.clocks.business_days_after(asked[-1], policy.clocks.decision_business_days)
        return (Task(key="after_course/close", code="CLOSE_JOURNEY", owner=Role.COORDINATOR, due_at=by),)
    if journey.stage not in {Stage.PREPARING, Stage.DOSING_COURSE}:
        return ()
    if any(s.status is SessionStatus.SCHEDULED for s in journey.sessions.all):
        return ()
    return (
        Task(
            key=f"course/next/{journey.touched_at:%Y%m%d}",
            code="BOOK_NEXT_SESSION",
            owner=Role.COORDINATOR,
            due_at=journey.touched_at + timedelta(days=policy.clocks.inactivity_days),
        ),
    )
