"""Danger: a flag pages a person and holds dosing; only a clinician closes the case (domain.md §5.1, §5.2, INV-22).

Urgency is judged from the command alone, before any lock and before the log answers, so that a page never waits for
a database (architecture D12).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from domain.codes import Code
from domain.effects import resource_id
from domain.envelope import Role, Sensitivity
from domain.instruments import InvalidAnswersError, Score, Tier, UnknownInstrumentError, needs_page, score
from domain.journey.assessment import SubmitGateForm, SubmitQuestionnaire
from domain.journey.dosing import RecordCheckIn
from domain.journey.holds import HoldKind, HoldPlaced
from domain.journey.messages import (
    CLINICIANS,
    Command,
    Context,
    Decision,
    Event,
    Fact,
    Obligation,
    Stamp,
    Task,
    accept,
    refuse,
)
from domain.journey.observations import RecordVitals
from domain.journey.release import ReleasePatient
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey

Source: TypeAlias = Literal["questionnaire", "gate_form", "session", "report"]
"""What said it: a form, what was seen in a session, or a person's own report."""
ITEM9_HIGH = 3
"""PHQ-9 item 9 answered "nearly every day" counts as high until somebody has assessed (domain.md §5.1.2)."""


class SafetyCase(Value):
    case_id: UUID
    opened_at: Instant
    tier: Tier
    paged_at: Instant | None = None
    answered_at: Instant | None = None


class Safety(Value):
    open_case: SafetyCase | None = None


class ReportSafetyConcern(Command, name="report_safety_concern", by={Role.PATIENT, Role.COORDINATOR, *CLINICIANS}):
    """Say that the patient may be in danger now. Pages the clinician on call at once."""

    concern: LongText


class AnswerPage(Command, name="answer_page", by=CLINICIANS):
    """Say that a clinician has this case in hand."""


class PagerReported(Fact, name="on_call_paged"):
    """The pager has taken a page for this case."""

    case_id: UUID
    page_id: ShortText


class CloseSafetyCase(Command, name="close_safety_case", by=CLINICIANS):
    """Close the case with a reason and a plan. The machine never does (INV-22)."""

    reason: LongText
    plan: LongText
    tier: Tier


class SafetyCaseOpened(Event, type="safety_case_opened.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    case_id: UUID
    tier: Tier
    source: Source


class SafetyConcernAdded(Event, type="safety_concern_added.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    case_id: UUID
    concern: LongText


class OnCallPaged(Event, type="on_call_paged.v1"):
    case_id: UUID
    page_id: ShortText


class PageAnswered(Event, type="page_answered.v1"):
    case_id: UUID


class SafetyCaseClosed(Event, type="safety_case_closed.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    case_id: UUID
    tier: Tier
    reason: LongText
    plan: LongText


SOURCES: dict[type[Command], Source] = {
    SubmitQuestionnaire: "questionnaire",
    SubmitGateForm: "gate_form",
    ReleasePatient: "session",
    RecordCheckIn: "session",
    RecordVitals: "session",
}

Commands: TypeAlias = ReportSafetyConcern | AnswerPage | CloseSafetyCase | PagerReported
Events: TypeAlias = SafetyCaseOpened | SafetyConcernAdded | OnCallPaged | PageAnswered | SafetyCaseClosed


def urgent_tier(command: Command) -> Tier | None:
    """The tier at which this command alone calls for a page, or None. Pure and quick; needs no state."""
    match command:
        case ReportSafetyConcern():
            return Tier.HIGH
        case SubmitGateForm(phq9_item9=item9):
            return Tier.HIGH if item9 >= ITEM9_HIGH else None
        case SubmitQuestionnaire():
            result = _scored(command)
            return (result.tier or Tier.HIGH) if result is not None and needs_page(result) else None
        case ReleasePatient(new_suicidal_ideation=True):
            return Tier.HIGH
        case RecordCheckIn(responsive=responsive, breathing_normal=breathing):
            return None if responsive and breathing else Tier.HIGH
        case RecordVitals(alarms=alarms):
            return Tier.HIGH if alarms else None
        case _:
            return None


def _scored(command: SubmitQuestionnaire) -> Score | None:
    try:
        return score(command.instrument, command.answers)
    except (InvalidAnswersError, UnknownInstrumentError):
        return None


def _needs_review(command: Command) -> bool:
    result = _scored(command) if isinstance(command, SubmitQuestionnaire) else None
    return result is not None and result.tier is not None and result.tier >= Tier.MODERATE


def case_of(command_id: UUID) -> UUID:
    """The safety case that a command opens: known before the log answers, so page and log name the same case."""
    return resource_id(str(command_id), "safety_case")


def open_case(journey: Journey, command: Command, ctx: Context) -> tuple[Event, ...]:
    """What an urgent command adds to its own events: the case, and the hold that every later decision sees.

    A moderate tier wakes nobody, but holds dosing until the prescriber has reviewed it (domain.md §5.1).
    """
    tier = urgent_tier(command)
    if tier is None and _needs_review(command) and not journey.holds.has(HoldKind.SAFETY):
        return (HoldPlaced(hold=HoldKind.SAFETY, reason="C-SSRS moderate: for the prescriber to review"),)
    if tier is None or journey.safety.open_case is not None:
        return ()
    opened = SafetyCaseOpened(case_id=case_of(ctx.command_id), tier=tier, source=SOURCES.get(type(command), "report"))
    if journey.holds.has(HoldKind.SAFETY):
        return (opened,)
    return (opened, HoldPlaced(hold=HoldKind.SAFETY, reason="safety case opened"))


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    case = journey.safety.open_case
    match command:
        case ReportSafetyConcern():
            case_id = case.case_id if case is not None else case_of(ctx.command_id)
            return accept(SafetyConcernAdded(case_id=case_id, concern=command.concern))
        case AnswerPage():
            if case is None:
                return refuse(Code.NOT_FOUND, "no safety case is open")
            return accept(PageAnswered(case_id=case.case_id))
        case CloseSafetyCase():
            if case is None:
                return refuse(Code.NOT_FOUND, "no safety case is open")
            return accept(
                SafetyCaseClosed(case_id=case.case_id, tier=command.tier, reason=command.reason, plan=command.plan)
            )
        case PagerReported(case_id=case_id, page_id=page_id):
            return accept(OnCallPaged(case_id=case_id, page_id=page_id))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    case = journey.safety.open_case
    match event:
        case SafetyCaseOpened():
            case = SafetyCase(case_id=event.case_id, opened_at=stamp.recorded_at, tier=event.tier)
        case SafetyConcernAdded():
            pass
        case OnCallPaged(case_id=case_id):
            if case is not None and case.case_id == case_id:  # a page may be reported after its case was closed
                case = case.model_copy(update={"paged_at": case.paged_at or stamp.occurred_at})
        case PageAnswered():
            case = case and case.model_copy(update={"answered_at": stamp.occurred_at})
        case SafetyCaseClosed():
            case = None
        case _:
            assert_never(event)
    return journey.model_copy(update={"safety": Safety(open_case=case)})


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    case = journey.safety.open_case
    if case is None:
        return ()
    if case.answered_at is None:
        by = case.opened_at + timedelta(minutes=policy.safety.page_answer_minutes)
        return (Task(key=f"safety/{case.case_id}/answer", code="ANSWER_PAGE", owner=Role.ON_CALL, due_at=by),)
    by = case.answered_at + timedelta(days=1)
    return (Task(key=f"safety/{case.case_id}/manage", code="MANAGE_SAFETY_CASE", owner=Role.PRESCRIBER, due_at=by),)
