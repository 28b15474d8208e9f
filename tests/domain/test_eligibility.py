"""The intake and the decision: what must be known, what can be overridden, what contradicts itself (domain.md §2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.journey.eligibility import (
    CompleteIntake,
    EligibilityDecided,
    EligibilityExpired,
    Finding,
    Outcome,
    Override,
)
from domain.journey.observations import RecordMeasurements, RecordPregnancyTest
from domain.journey.prescription import DraftPrescription, QueryPdmp
from domain.journey.scheduling import SessionKind
from domain.journey.stages import Stage
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused

LONG = Override(rationale="Seen with the cardiologist; stable for years under treatment")
SHORT = Override(rationale="x" * 29)


def found(criterion: str, met: str, override: Override | None = None) -> Finding:
    """One finding of a clinician."""
    fields = {"criterion": criterion, "met": met, "source": "clinician", "override": override}
    return Finding.model_validate(fields)


def test_each_criterion_is_answered_once() -> None:
    """Of two findings about one criterion neither is taken for the answer."""
    twice = (found("K-A1", "true"), *stages.findings())

    assert Code.CRITERION_UNKNOWN == refused(v1.intake_done().do(stages.verdict(criteria=twice)))


def decided(outcome: Outcome, *differing: Finding) -> Code | None:
    """Decide with these findings; everything else is as it should be."""
    others = stages.findings(**{one.criterion.replace("-", "_"): one for one in differing})
    return refused(v1.intake_done().do(stages.verdict(outcome, criteria=others)))


@pytest.mark.parametrize(
    ("outcome", "finding", "code"),
    [
        (Outcome.ELIGIBLE, found("INC-1", "true"), None),
        (Outcome.ELIGIBLE, found("K-A1", "unknown"), Code.CRITERION_UNKNOWN),
        (Outcome.INELIGIBLE, found("K-A4", "unknown"), Code.CRITERION_UNKNOWN),
        (Outcome.DEFERRED, found("K-A1", "unknown"), None),
        (Outcome.WITH_CONDITIONS, found("K-A1", "true", LONG), Code.OVERRIDE_IMPOSSIBLE),
        (Outcome.WITH_CONDITIONS, found("K-C1", "true", LONG), Code.OVERRIDE_IMPOSSIBLE),
        (Outcome.ELIGIBLE, found("K-A1", "true"), Code.OUTCOME_CONTRADICTS_CRITERIA),
        (Outcome.ELIGIBLE, found("K-C1", "true"), Code.OUTCOME_CONTRADICTS_CRITERIA),
        (Outcome.INELIGIBLE, found("K-C1", "true"), None),
        (Outcome.ELIGIBLE, found("INC-3", "false"), Code.OUTCOME_CONTRADICTS_CRITERIA),
        (Outcome.ELIGIBLE, found("INC-3", "false", LONG), None),
        (Outcome.ELIGIBLE, found("K-C2", "unknown"), Code.OUTCOME_CONTRADICTS_CRITERIA),
        (Outcome.ELIGIBLE, found("K-C2", "true"), Code.OUTCOME_CONTRADICTS_CRITERIA),
        (Outcome.ELIGIBLE, found("K-C2", "true", SHORT), Code.OVERRIDE_IMPOSSIBLE),
        (Outcome.ELIGIBLE, found("K-C2", "true", LONG), None),
        (Outcome.WITH_CONDITIONS, found("K-C2", "true"), None),
    ],
)
def test_inv_16_what_a_decision_may_say(outcome: Outcome, finding: Finding, code: Code | None) -> None:
    """Absolute and temporary criteria are known and never overridden while present; others need 30 characters."""
    assert code == decided(outcome, finding)


@pytest.mark.parametrize("criteria", [(), stages.findings()[:-1], (*stages.findings(), found("K-Z9", "false"))])
def test_every_criterion_of_the_protocol_is_answered_and_no_other(criteria: tuple[Finding, ...]) -> None:
    """A missing or an invented criterion makes a decision impossible."""
    assert Code.CRITERION_UNKNOWN == refused(v1.intake_done().do(stages.verdict(criteria=criteria)))


@pytest.mark.parametrize("missing", ["vitals", "measurements", "pregnancy", "pdmp", ""])
def test_an_intake_needs_its_evidence(missing: str) -> None:
    """Two readings, weight and height, a pregnancy test and a fresh PDMP answer; with all of them it is complete."""
    story = v1.onboarded()
    session = story.book(SessionKind.INTAKE, day(8, "15:00"))
    story.at(day(8, "15:10"))
    if missing != "pdmp":
        story.yes(QueryPdmp())
        story.outside()
    story.yes(stages.vitals(), Role.PRESCRIBER)
    if missing != "vitals":
        story.yes(stages.vitals(), Role.PRESCRIBER)
    if missing != "measurements":
        story.yes(RecordMeasurements(weight_kg=68, height_cm=168), Role.PRESCRIBER)
    if missing != "pregnancy":
        story.yes(RecordPregnancyTest(result="negative"), Role.PRESCRIBER)
    decision = story.do(CompleteIntake(session_id=session, mental_status="Clear", history="Known"))

    assert (Code.EVIDENCE_MISSING if missing else None) == refused(decision)


def test_the_mean_of_the_intake_readings_is_kept() -> None:
    """168/104, 166/102 and 170/106 are 168.0/104.0; such a patient is ineligible and gets no prescription (V2)."""
    story = v1.onboarded()
    session = story.book(SessionKind.INTAKE, day(8, "15:00"))
    story.at(day(8, "15:10")).yes(QueryPdmp())
    story.outside()
    for systolic, diastolic in ((168, 104), (166, 102), (170, 106)):
        story.yes(stages.vitals(systolic, diastolic), Role.PRESCRIBER)
    story.yes(RecordMeasurements(weight_kg=90, height_cm=180), Role.PRESCRIBER)
    story.yes(RecordPregnancyTest(result="negative"), Role.PRESCRIBER)
    story.yes(CompleteIntake(session_id=session, mental_status="Clear", history="Known"))
    criteria = stages.findings(K_C1=found("K-C1", "true"))
    story.yes(stages.verdict(Outcome.INELIGIBLE, criteria=criteria))
    event = story.events(EligibilityDecided)[0]

    assert (168.0, 104.0) == (event.systolic_mean, event.diastolic_mean)
    assert Stage.INELIGIBLE is story.journey.stage
    assert Code.NO_ACTIVE_ELIGIBILITY == refused(story.do(DraftPrescription(draft=stages.FIRST_BATCH)))
    assert "INFORM_AND_CLOSE" in story.tasks()


def renewing() -> Story:
    """D189: the decision has ended by itself; the prescriber owes another."""
    story = v1.integrated(2)
    story.at(day(189))
    return story


def test_a_decision_ends_by_itself_once() -> None:
    """The end is recorded when time passes it, once, and the prescriber owes a new decision."""
    story = renewing().after(days=1)

    assert 1 == len(story.events(EligibilityExpired))
    assert "DECIDE_ELIGIBILITY" in story.tasks()


def test_a_renewal_rests_on_a_reading_of_the_last_day() -> None:
    """Half a year on, the intake's readings do not serve; a reading of today does."""
    story = renewing()

    assert Code.EVIDENCE_MISSING == refused(story.do(stages.verdict()))

    story.yes(stages.vitals(130, 84), Role.PATIENT)
    story.yes(stages.verdict())
    event = story.events(EligibilityDecided)[-1]

    assert (130.0, 84.0) == (event.systolic_mean, event.diastolic_mean)
    assert Stage.DOSING_COURSE is story.journey.stage


def test_a_deferred_case_stays_with_the_prescriber() -> None:
    """After a deferral the decision is still owed, two business days on; it can then be made."""
    story = v1.intake_done()
    story.yes(stages.verdict(Outcome.DEFERRED))
    task = story.tasks()["DECIDE_ELIGIBILITY"]

    assert timedelta(days=2) == task.due_at - story.now
    assert refused(story.do(stages.verdict())) is None


def test_a_decision_is_made_once() -> None:
    """While a decision is in force, there is nothing to decide."""
    assert Code.WRONG_STAGE == refused(v1.eligible().do(stages.verdict()))
    assert Code.WRONG_STAGE == refused(v1.onboarded().do(stages.verdict()))


def test_a_decision_is_in_force_from_its_moment_to_its_end() -> None:
    """Not a second before it was made, not at the moment it ends; and at two moments only if at both."""
    here = v1.eligible().journey.eligibility
    made, second = day(8, "16:00"), timedelta(seconds=1)
    end = made + timedelta(days=180)
    moments = ((made - second,), (made,), (end - second,), (end,), (made, end))

    assert [False, True, True, False, False] == [here.active(*asked) is not None for asked in moments]
