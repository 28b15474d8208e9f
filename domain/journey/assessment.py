"""Questionnaires: what the patient says, scored by one engine, and what a single item may give away.

A form is always recorded and scored, at any stage and after the course; what it means for a dose is for the gates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from pydantic import Field

from domain.codes import Code
from domain.envelope import Role, Sensitivity
from domain.instruments import (
    Answers,
    InvalidAnswersError,
    Score,
    Tier,
    UnknownInstrumentError,
    instrument,
    score,
    suicidality_flag,
)
from domain.journey.messages import (
    CLINICIANS,
    Command,
    Context,
    Decision,
    Event,
    Obligation,
    Stamp,
    accept,
    is_newest,
    refuse,
)
from domain.protocols import Protocol
from domain.values import Instant, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey

POINTS_KEPT = 40
ITEM9_INSTRUMENT = "PHQ-9"
ALLIANCE_INSTRUMENT = "WAI-SR"


class Point(Value):
    """One total of one instrument, at its time. WAI-SR totals belong to one therapist and are never mixed."""

    total: float
    at: Instant
    sequence: int
    therapist: ShortText | None = None


class Assessments(Value):
    answered: tuple[ShortText, ...] = ()
    series: dict[str, tuple[Point, ...]] = Field(default_factory=dict)
    item9: int | None = None
    item9_at: Instant | None = None
    tier: Tier | None = None
    tier_at: Instant | None = None


class SubmitQuestionnaire(Command, name="submit_questionnaire", by={Role.PATIENT, *CLINICIANS}):
    """Submit one completed questionnaire. ``answers`` in item order; see ``docs/instruments``."""

    instrument: ShortText = Field(examples=["PHQ-9"])
    answers: Answers


class SubmitGateForm(Command, name="submit_gate_form", by={Role.PATIENT, Role.THERAPIST}):
    """The dosing day's short form: PHQ-9 item 9 (0–3) alone. C-SSRS since last contact is submitted beside it."""

    phq9_item9: int = Field(ge=0, le=3)


class QuestionnaireSubmitted(Event, type="questionnaire_submitted.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    instrument: ShortText
    answers: Answers
    therapist: ShortText | None = None


class ScoreComputed(Event, type="score_computed.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    score: Score
    therapist: ShortText | None = None


class GateFormSubmitted(Event, type="gate_form_submitted.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    phq9_item9: int


class ItemFlagRaised(Event, type="item_flag_raised.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    """An answer that must not wait for a total: the C-SSRS screener opens in the same sitting (domain.md §5.1)."""

    instrument: ShortText
    flag: Literal["suicidality"]


Commands: TypeAlias = SubmitQuestionnaire | SubmitGateForm
Events: TypeAlias = QuestionnaireSubmitted | ScoreComputed | GateFormSubmitted | ItemFlagRaised


def decide(journey: Journey, command: Commands, _ctx: Context) -> Decision:
    match command:
        case SubmitQuestionnaire():
            return _scored(journey, command)
        case SubmitGateForm(phq9_item9=item9):
            flags = (ItemFlagRaised(instrument=ITEM9_INSTRUMENT, flag="suicidality"),) if item9 else ()
            return accept(GateFormSubmitted(phq9_item9=item9), *flags)
        case _:
            assert_never(command)


def _scored(journey: Journey, command: SubmitQuestionnaire) -> Decision:
    answers = command.answers.model_copy(update={"sex": journey.patient.sex})
    try:
        result = score(command.instrument, answers)
    except (InvalidAnswersError, UnknownInstrumentError) as error:
        return refuse(Code.INVALID_ANSWERS, str(error))
    therapist = journey.care_team.therapist.subject if command.instrument == ALLIANCE_INSTRUMENT else None
    events: list[Event] = [
        QuestionnaireSubmitted(instrument=command.instrument, answers=answers, therapist=therapist),
        ScoreComputed(score=result, therapist=therapist),
    ]
    if suicidality_flag(result):
        events.append(ItemFlagRaised(instrument=command.instrument, flag="suicidality"))
    return accept(*events)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here = journey.assessments
    match event:
        case QuestionnaireSubmitted() | ItemFlagRaised():
            return journey
        case GateFormSubmitted(phq9_item9=item9):
            change: dict[str, object] = _newest(here, "item9", item9, stamp)
        case ScoreComputed(score=result, therapist=therapist):
            change = {"answered": tuple(sorted({*here.answered, result.instrument}))}
            if result.total is not None:
                point = Point(total=result.total, at=stamp.occurred_at, sequence=stamp.sequence, therapist=therapist)
                series = (*here.series.get(result.instrument, ()), point)[-POINTS_KEPT:]
                change["series"] = {**here.series, result.instrument: series}
            if result.instrument == ITEM9_INSTRUMENT:
                change |= _newest(here, "item9", _item9(result), stamp)
            if result.tier is not None:
                change |= _newest(here, "tier", result.tier, stamp)
        case _:
            assert_never(event)
    return journey.model_copy(update={"assessments": here.model_copy(update=change)})


def _newest(here: Assessments, name: Literal["item9", "tier"], answer: object, stamp: Stamp) -> dict[str, object]:
    """Take this answer, unless a later one is known: a form entered late must not cover what was said after it."""
    known_at = here.item9_at if name == "item9" else here.tier_at
    return {name: answer, f"{name}_at": stamp.occurred_at} if is_newest(known_at, stamp) else {}


def _item9(result: Score) -> int | None:
    """PHQ-9 item 9, or None when it was not answered: not done, never 0."""
    item9 = result.derived.get("item9")
    return item9 if isinstance(item9, int) else None


def loinc_of(instrument_id: str) -> str | None:
    """The LOINC code of an instrument's total, where one is known (domain.md §4)."""
    return instrument(instrument_id).loinc.total


def due(_journey: Journey, _policy: Protocol) -> tuple[Obligation, ...]:
    return ()
