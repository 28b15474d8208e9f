"""The gates a course must pass before a day is worth starting: INV-1, 3, 4, 5, 6, 9, 13 and the forms before a dose."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.journey.dispensing import PharmacyDeliveryReported, PharmacyFillReported
from domain.journey.dosing import DosingStarted, GatesEvaluated, RecordDose, StartDosing
from domain.journey.eligibility import Outcome
from domain.journey.holds import CODES, HoldKind, LiftHold, PlaceHold
from domain.journey.prescription import DraftPrescription
from domain.journey.scheduling import SessionKind
from tests.domain import stages, v1
from tests.domain.kit import NEW_YORK, Story, day, refused, types


def failed(story: Story) -> list[str]:
    """Every gate that did not pass when it was asked last."""
    return [result.code for result in story.events(GatesEvaluated)[-1].results if not result.passed]


def test_green_gates_let_a_dose_begin() -> None:
    """With everything true, start_dosing records all gates as passed, and the start."""
    story = v1.ready_to_dose()
    decision = v1.start(story)

    assert refused(decision) is None
    assert (GatesEvaluated.type, DosingStarted.type) == types(decision)
    assert [] == failed(story)


def test_a_blocked_gate_is_an_event_and_a_refusal() -> None:
    """D6: what a blocked start_dosing found stays in the log, and the dose does not begin."""
    story = v1.prepared().at(day(22))
    decision = v1.start(story)

    assert Code.CONSENT == refused(decision)
    assert (GatesEvaluated.type,) == types(decision)
    assert {Code.CONSENT, Code.LICENCE, Code.PREGNANCY, Code.CHAPERONE, Code.SI_GATE, Code.BP_GATE} == set(
        failed(story)
    )


def test_inv_1_an_expired_decision_stops_dosing() -> None:
    """A decision good to D188 lets a dose begin a minute before its end, and not at its end."""
    story = v1.integrated(2)
    story.book(SessionKind.DOSING, day(188, "15:59"), 180)
    end = story.journey.eligibility.decision
    assert end is not None
    stages.morning(story, end.valid_until - timedelta(minutes=1))
    v1.start(story)

    assert Code.NO_ACTIVE_ELIGIBILITY not in failed(story)

    stages.morning(story, end.valid_until)

    assert Code.NO_ACTIVE_ELIGIBILITY == refused(v1.start(story))
    assert "DECIDE_ELIGIBILITY" in story.tasks()


@pytest.mark.parametrize("outcome", [Outcome.INELIGIBLE, Outcome.DEFERRED])
def test_inv_1_only_a_favourable_decision_counts(outcome: Outcome) -> None:
    """After an unfavourable decision nothing can be drafted."""
    story = v1.intake_done()
    story.yes(stages.verdict(outcome))

    assert Code.NO_ACTIVE_ELIGIBILITY == refused(story.do(DraftPrescription(draft=stages.FIRST_BATCH)))


def test_inv_3_no_drug_in_hand_no_dose() -> None:
    """A prescription that is filled and not delivered is no drug in hand."""
    story = v1.prescribed()
    stages.prepare(story, day(15))
    story.book(SessionKind.DOSING, day(22), 180)
    stages.morning(story, day(22))

    assert Code.NO_DOSES == refused(v1.start(story))


@pytest.mark.parametrize(("good_for", "code"), [(0, None), (-1, Code.NO_DOSES)])
def test_inv_3_the_beyond_use_date_is_the_last_good_day(good_for: int, code: Code | None) -> None:
    """Drug may be used on its beyond-use date and not on the day after."""
    story = v1.prescribed()
    key = stages.key_of(story, story.journey.prescriptions.all[0].rx_id)
    last = (day(22) + timedelta(days=good_for)).astimezone(NEW_YORK).date()
    fill = PharmacyFillReported(key=key, note="Dispensed", lot="L1", quantity=6, beyond_use_on=last)
    story.at(day(10)).yes(fill)
    story.at(day(12)).yes(PharmacyDeliveryReported(key=key, signed_by_adult=True))
    stages.prepare(story, day(15))
    story.book(SessionKind.DOSING, day(22), 180)
    stages.morning(story, day(22))

    assert code == refused(v1.start(story))


def test_inv_4_no_dose_without_a_preparation() -> None:
    """The first dose needs a completed preparation with the therapist who leads it."""
    story = v1.drug_delivered()
    story.book(SessionKind.DOSING, day(22), 180)
    stages.morning(story, day(22))

    assert Code.PREP_WITH_CURRENT_THERAPIST == refused(v1.start(story))


def test_inv_5_a_session_that_never_ended_has_no_integration_either() -> None:
    """A dose whose session was never released blocks the next one, however long ago it was."""
    story = v1.ready_to_dose()
    v1.start(story)
    story.yes(RecordDose(session_id=v1.dosing_session(story), mg=100, lot="L1"))
    story.book(SessionKind.DOSING, day(36), 180)
    stages.morning(story, day(36))

    assert Code.INTEGRATION_DUE == refused(v1.start(story))


@pytest.mark.parametrize(("days", "clock", "code"), [(6, "23:00", Code.MIN_INTERVAL), (7, "08:00", None)])
def test_inv_6_seven_days_between_doses(days: int, clock: str, code: Code | None) -> None:
    """Six local days after a dose are too few, seven are enough, whatever the hour."""
    story = v1.integrated(1)
    story.book(SessionKind.DOSING, day(22 + days, clock), 60)
    stages.morning(story, day(22 + days, clock))

    assert code == refused(v1.start(story))


@pytest.mark.parametrize("kind", list(HoldKind))
def test_inv_9_a_hold_comes_before_every_other_reason(kind: HoldKind) -> None:
    """Any open hold refuses a dose with its own code, even when other gates fail too; lifted, it does not."""
    story = v1.ready_to_dose()
    blocked = v1.prepared().at(day(22))
    for one in (story, blocked):
        one.yes(PlaceHold(hold=kind, reason="Look at this first"), Role.COORDINATOR)

    assert CODES[kind] == refused(v1.start(story))
    assert CODES[kind] == refused(v1.start(blocked))

    story.yes(LiftHold(hold=kind, reason="Looked at"), Role.MEDICAL_DIRECTOR)

    assert refused(v1.start(story)) is None


def test_inv_13_a_follow_up_before_the_second_dose_does_not_count() -> None:
    """A follow-up held after dose 1 is not the one that is due after dose 2."""
    story = v1.integrated(1)
    stages.follow(story, day(26))
    story.book(SessionKind.DOSING, day(36), 180)
    stages.morning(story, day(36))
    stages.take_dose(story, v1.dosing_session(story))
    stages.integrate(story, v1.dosing_session(story), day(38))

    assert "BOOK_FOLLOW_UP" in story.tasks()

    story.book(SessionKind.DOSING, day(50), 180)
    stages.morning(story, day(50))

    assert Code.FOLLOWUP_DUE == refused(v1.start(story))


@pytest.mark.parametrize("decision", ["pause", "stop"])
def test_inv_13_a_follow_up_that_says_stop_stops(decision: str) -> None:
    """Dosing goes on after "continue" and not after "pause" or "stop"."""
    story = v1.ready_to_dose(3)
    going_on = story.fork()
    stages.follow(story, day(50, "10:00"), decision)
    stages.follow(going_on, day(50, "10:00"), "continue")
    for one in (story, going_on):
        stages.morning(one, day(50, "12:00"))

    assert Code.FOLLOWUP_DUE == refused(v1.start(story))
    assert refused(v1.start(going_on)) is None


def test_forms_of_the_last_fortnight_are_due_before_dose_3() -> None:
    """PHQ-9 and GAD-7 of D38 are good enough on D52 at the same minute, and not a minute later."""
    story = v1.followed_up()
    session = story.book(SessionKind.DOSING, day(52, "14:00"), 180)
    late = story.fork()
    stages.morning(story, day(52, "14:00"))
    stages.morning(late, day(52, "14:01"))

    assert refused(story.do(StartDosing(session_id=session))) is None
    assert Code.OUTCOMES_DUE == refused(late.do(StartDosing(session_id=session)))


def test_no_command_of_a_session_works_before_its_start() -> None:
    """A dose or a release of a session that was not started is refused."""
    story = v1.ready_to_dose()
    session = v1.dosing_session(story)
    release = stages.release(session, story.now)

    assert Code.WRONG_STAGE == refused(story.do(RecordDose(session_id=session, mg=100, lot="L1")))
    assert Code.WRONG_STAGE == refused(story.do(release))
