"""S2, S3: the medical intake and the prescriber's decision (domain.md §2).

The software proposes nothing it cannot show and decides nothing: it refuses a decision that leaves a dangerous
question open, or that contradicts its own answers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import Clock, Command, Context, Decision, Event, Obligation, Stamp, Task, accept, refuse
from domain.journey.observations import Reading
from domain.journey.scheduling import Session, SessionKind, SessionStatus, booked, completed
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Outcome(StrEnum):
    ELIGIBLE = "eligible"
    WITH_CONDITIONS = "eligible_with_conditions"
    DEFERRED = "deferred"
    INELIGIBLE = "ineligible"


FAVOURABLE = frozenset({Outcome.ELIGIBLE, Outcome.WITH_CONDITIONS})


class Override(Value):
    rationale: LongText


class Finding(Value):
    """One criterion's answer. ``met`` says whether the inclusion holds, or whether the exclusion is present."""

    criterion: ShortText
    met: Literal["true", "false", "unknown"]
    source: Literal["patient", "clinician", "device", "record"]
    override: Override | None = None


class ActiveDecision(Value):
    decision_id: UUID
    outcome: Outcome
    decided_at: Instant
    valid_until: Instant
    dose_ceiling_mg: float | None = None
    conditions: tuple[ShortText, ...] = ()


class Eligibility(Value):
    intake_completed_at: Instant | None = None
    decision: ActiveDecision | None = None
    expired_at: Instant | None = None
    deferred_at: Instant | None = None

    def active(self, *moments: datetime) -> ActiveDecision | None:
        """The favourable decision in force at each of these moments (INV-1).

        Asked about both ``ctx.at`` and ``ctx.now``, so that a date in the past revives no decision that has ended.
        """
        here = self.decision
        if here is None or here.outcome not in FAVOURABLE or self.expired_at is not None:
            return None
        return here if all(here.decided_at <= moment < here.valid_until for moment in moments) else None


class CompleteIntake(Command, name="complete_intake", by={Role.PRESCRIBER}):
    """Record that the medical intake was held: mental status, history, and what the checklist showed."""

    session_id: UUID
    mental_status: LongText
    history: LongText


class DecideEligibility(Command, name="decide_eligibility", by={Role.PRESCRIBER}):
    """Decide. Every criterion of the protocol is answered; unknown is an answer that only a deferral allows."""

    outcome: Outcome
    reconsiderable: bool = True
    criteria: tuple[Finding, ...]
    conditions: tuple[ShortText, ...] = ()
    dose_ceiling_mg: float | None = Field(default=None, gt=0)
    rationale: LongText


class IntakeCompleted(Event, type="intake_completed.v1"):
    session_id: UUID
    mental_status: LongText
    history: LongText


class EligibilityDecided(Event, type="eligibility_decided.v1"):
    outcome: Outcome
    reconsiderable: bool
    criteria: tuple[Finding, ...]
    conditions: tuple[ShortText, ...]
    dose_ceiling_mg: float | None
    rationale: LongText
    systolic_mean: float
    diastolic_mean: float
    decided_by: ShortText
    credential: str | None
    valid_until: Instant


class EligibilityExpired(Event, type="eligibility_expired.v1"):
    pass


Commands: TypeAlias = CompleteIntake | DecideEligibility
Events: TypeAlias = IntakeCompleted | EligibilityDecided | EligibilityExpired


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case CompleteIntake():
            return _complete_intake(journey, command, ctx)
        case DecideEligibility():
            return _decide(journey, command, ctx)
        case _:
            assert_never(command)


def _complete_intake(journey: Journey, command: CompleteIntake, ctx: Context) -> Decision:
    if journey.stage is not Stage.INTAKE:
        return refuse(Code.WRONG_STAGE, "the intake follows a complete onboarding")
    session = booked(journey, command.session_id, SessionKind.INTAKE, ctx)
    if isinstance(session, Decision):
        return session
    if missing := _evidence_missing(journey, session, ctx):
        return refuse(Code.EVIDENCE_MISSING, f"record first: {', '.join(missing)}")
    return accept(
        IntakeCompleted(session_id=session.session_id, mental_status=command.mental_status, history=command.history)
    )


def _evidence_missing(journey: Journey, session: Session, ctx: Context) -> tuple[str, ...]:
    rules, seen = ctx.policy.eligibility, journey.observations
    day = timedelta(days=1)
    readings = seen.within(session.starts_at - day, 2 * day)
    tested_since = session.starts_at - timedelta(days=rules.pregnancy_test_max_age_days)
    test_needed = journey.onboarding.could_become_pregnant is not False
    return tuple(
        name
        for name, present in {
            f"{rules.blood_pressure_readings_min} blood pressure readings": len(readings)
            >= rules.blood_pressure_readings_min,
            "weight and height": seen.weight_kg is not None,
            "pregnancy test": not test_needed
            or (seen.pregnancy_test_at is not None and seen.pregnancy_test_at >= tested_since),
            "PDMP query": journey.prescriptions.pdmp_fresh(ctx.at, ctx.policy) is not None,
        }.items()
        if not present
    )


def _decide(journey: Journey, command: DecideEligibility, ctx: Context) -> Decision:
    intake = journey.eligibility.intake_completed_at
    if intake is None or (journey.stage is not Stage.UNDER_REVIEW and journey.eligibility.expired_at is None):
        return refuse(Code.WRONG_STAGE, "a decision follows a completed intake, or the end of an earlier decision")
    if refusal := _criteria_problem(command, ctx.policy):
        return refusal
    readings = _readings(journey, intake, ctx)
    if not readings:
        return refuse(Code.EVIDENCE_MISSING, "record the blood pressure again; no reading of the last day is at hand")
    return accept(
        EligibilityDecided(
            **dict(command),
            systolic_mean=round(sum(r.systolic for r in readings) / len(readings), 1),
            diastolic_mean=round(sum(r.diastolic for r in readings) / len(readings), 1),
            decided_by=ctx.actor.subject,
            credential=ctx.actor.credential,
            valid_until=ctx.at + timedelta(days=ctx.policy.eligibility.valid_days),
        )
    )


def _readings(journey: Journey, intake: datetime, ctx: Context) -> tuple[Reading, ...]:
    """The blood pressure a decision rests on: the intake's; for a renewal, or long after, that of the last day."""
    day, seen = timedelta(days=1), journey.observations
    fresh = seen.within(ctx.at - day, day)
    return fresh if journey.eligibility.expired_at is not None else seen.within(intake - day, day) or fresh


def _criteria_problem(command: DecideEligibility, policy: Protocol) -> Decision | None:
    """domain.md §2.5: what makes a decision impossible, whoever decides."""
    kinds = policy.eligibility.criteria
    found = {finding.criterion: finding for finding in command.criteria}
    if len(found) < len(command.criteria):
        return refuse(Code.CRITERION_UNKNOWN, "answer each criterion once")
    if missing := [name for name in kinds if name not in found]:
        return refuse(Code.CRITERION_UNKNOWN, f"answer every criterion; missing: {', '.join(missing)}")
    if strange := [name for name in found if name not in kinds]:
        return refuse(Code.CRITERION_UNKNOWN, f"not criteria of this protocol: {', '.join(strange)}")
    if command.outcome is Outcome.DEFERRED:
        return None
    unknown = [name for name, f in found.items() if f.met == "unknown" and kinds[name] in "AT"]
    if unknown:
        return refuse(Code.CRITERION_UNKNOWN, f"absolute and temporary criteria must be known: {', '.join(unknown)}")
    least = policy.eligibility.override_rationale_length_min
    for name, finding in found.items():
        if finding.override is None:
            continue
        if kinds[name] in "AT" and finding.met == "true":
            return refuse(Code.OVERRIDE_IMPOSSIBLE, f"{name} cannot be overridden while it is present")
        if len(finding.override.rationale) < least:
            return refuse(Code.OVERRIDE_IMPOSSIBLE, f"an override of {name} needs a rationale of {least} characters")
    if command.outcome not in FAVOURABLE:
        return None
    against = [n for n, f in found.items() if kinds[n] in "AT" and f.met == "true"]
    against += [n for n, f in found.items() if kinds[n] == "I" and f.met != "true" and f.override is None]
    against += [n for n, f in found.items() if kinds[n] == "C" and f.met == "unknown"]
    if command.outcome is Outcome.ELIGIBLE:
        against += [n for n, f in found.items() if kinds[n] == "C" and f.met == "true" and f.override is None]
    if against:
        return refuse(Code.OUTCOME_CONTRADICTS_CRITERIA, f"these findings speak against it: {', '.join(against)}")
    return None


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here = journey.eligibility
    match event:
        case IntakeCompleted(session_id=session_id):
            change: dict[str, object] = {
                "stage": Stage.UNDER_REVIEW,
                "sessions": completed(journey, session_id, stamp),
                "eligibility": here.model_copy(update={"intake_completed_at": stamp.occurred_at}),
            }
        case EligibilityDecided():
            decision = ActiveDecision(
                decision_id=stamp.command_id,
                outcome=event.outcome,
                decided_at=stamp.occurred_at,
                valid_until=event.valid_until,
                dose_ceiling_mg=event.dose_ceiling_mg,
                conditions=event.conditions,
            )
            deferred_at = stamp.occurred_at if event.outcome is Outcome.DEFERRED else None
            decided = here.model_copy(update={"decision": decision, "expired_at": None, "deferred_at": deferred_at})
            change = {"stage": _stage_after(journey, event.outcome), "eligibility": decided}
        case EligibilityExpired():
            change = {"eligibility": here.model_copy(update={"expired_at": stamp.recorded_at})}
        case _:
            assert_never(event)
    return journey.model_copy(update=change)


def _stage_after(journey: Journey, outcome: Outcome) -> Stage:
    if outcome is Outcome.DEFERRED:
        return Stage.UNDER_REVIEW
    if outcome is Outcome.INELIGIBLE:
        return Stage.INELIGIBLE
    return Stage.DOSING_COURSE if journey.dosing.count else Stage.PREPARING


def react(journey: Journey, now: Instant) -> tuple[Event, ...]:
    """A favourable decision ends by itself on its day."""
    here = journey.eligibility
    if (
        here.decision is not None
        and here.decision.outcome in FAVOURABLE
        and here.expired_at is None
        and now >= here.decision.valid_until
        and journey.stage in {Stage.PREPARING, Stage.DOSING_COURSE}
    ):
        return (EligibilityExpired(),)
    return ()


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    here, clocks = journey.eligibility, policy.clocks
    submitted = journey.referral.submitted_at
    if journey.stage is Stage.INTAKE:
        if journey.sessions.of(SessionKind.INTAKE, SessionStatus.SCHEDULED):
            return ()  # the booked session is the obligation
        by = submitted + timedelta(days=clocks.intake_held_days)
        return (Task(key="intake/book", code="BOOK_INTAKE", owner=Role.COORDINATOR, due_at=by),)
    if journey.stage is Stage.UNDER_REVIEW and here.intake_completed_at is not None:
        since = here.deferred_at or here.intake_completed_at
        by = clocks.business_days_after(since, clocks.decision_business_days)
        key = f"eligibility/decide/{since:%Y%m%dT%H%M%S}"
        return (Task(key=key, code="DECIDE_ELIGIBILITY", owner=Role.PRESCRIBER, due_at=by),)
    if journey.stage is Stage.INELIGIBLE and here.decision is not None:
        by = clocks.business_days_after(here.decision.decided_at, clocks.decision_business_days)
        return (Task(key="eligibility/close", code="INFORM_AND_CLOSE", owner=Role.COORDINATOR, due_at=by),)
    if journey.stage in {Stage.PREPARING, Stage.DOSING_COURSE} and here.decision is not None:
        if here.expired_at is not None:
            by = clocks.business_days_after(here.expired_at, clocks.decision_business_days)
            return (Task(key="eligibility/renew", code="DECIDE_ELIGIBILITY", owner=Role.PRESCRIBER, due_at=by),)
        return (Clock(key="eligibility/expires", due_at=here.decision.valid_until),)
    return ()
