"""INV-26: a course and a journey end only with nothing left open; and silence is noticed."""

from __future__ import annotations

import pytest

from domain.codes import Code
from domain.effects import EffectRejected, EffectResult
from domain.envelope import Role
from domain.journey.clocks import SlaBreached
from domain.journey.course import CloseJourney, CompleteCourse
from domain.journey.dispensing import PharmacyStatusReceived
from domain.journey.eligibility import Outcome
from domain.journey.holds import HoldKind, PlaceHold
from domain.journey.outbox import RecordEffect, SettleRejection
from domain.journey.referral import DeclineReferral
from domain.journey.safety import ReportSafetyConcern
from domain.journey.scheduling import CancelSession, SessionKind
from domain.journey.stages import Stage
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused

COMPLETE = CompleteCourse(relapse_plan="Call")
CLOSE = CloseJourney(reason="Done")


def test_a_course_of_six_doses_may_be_complete_and_of_five_may_not() -> None:
    """Below six doses a course is incomplete; with six, what is left is the drug that was not taken."""
    assert Code.COURSE_INCOMPLETE == refused(v1.integrated(5).do(COMPLETE))
    assert Code.OPEN_OBLIGATIONS == refused(v1.integrated(6).do(COMPLETE))
    assert refused(v1.integrated(8).do(COMPLETE)) is None


def test_the_last_dose_is_integrated_too() -> None:
    """A course is not complete before the integration of its last dose."""
    assert Code.INTEGRATION_DUE == refused(v1.dosed(8).do(COMPLETE))


@pytest.mark.parametrize("left", ["case", "hold", "session", "rejection"])
def test_nothing_is_left_open(left: str) -> None:
    """A safety case, a hold, a booked session or an unsettled rejection each keep a journey open."""
    story = v1.completed()
    match left:
        case "case":
            story.yes(ReportSafetyConcern(concern="Worried"), Role.THERAPIST)
        case "hold":
            story.yes(PlaceHold(hold=HoldKind.ADMIN, reason="Papers"), Role.COORDINATOR)
        case "session":
            story.book(SessionKind.INTEGRATION, day(140))
        case _:
            story.yes(stages.form("PHQ-9", *stages.PHQ9[122]), Role.PATIENT)
            key = story.journey.outbox.owed[0].key
            story.yes(RecordEffect(result=EffectResult(key=key, outcome=EffectRejected(code="422"))))

    assert Code.OPEN_OBLIGATIONS == refused(story.do(CLOSE, Role.COORDINATOR))

    if left == "session":
        session = story.journey.sessions.all[-1].session_id
        story.yes(CancelSession(session_id=session, reason="Not needed"), Role.PATIENT)
    if left == "rejection":
        assert "OUTSIDE_REJECTED" in story.tasks()
        story.yes(SettleRejection(key=key, note="Entered by hand"), Role.COORDINATOR)
    if left in {"session", "rejection"}:
        assert refused(story.do(CLOSE, Role.COORDINATOR)) is None


def test_drug_at_home_keeps_a_journey_open() -> None:
    """With a delivered batch unused an ineligible journey cannot close; one that was never dispensed does not count."""
    delivered, failed = v1.drug_delivered(), v1.prescribed()
    key = stages.key_of(failed, failed.journey.prescriptions.all[0].rx_id)
    failed.yes(PharmacyStatusReceived(key=key, code="900", accepted=False))
    for story in (delivered, failed):
        story.at(day(189)).yes(stages.vitals(), Role.PATIENT)
        story.yes(stages.verdict(Outcome.INELIGIBLE))

    assert Code.OPEN_OBLIGATIONS == refused(delivered.do(CLOSE, Role.COORDINATOR))
    assert refused(failed.do(CLOSE, Role.COORDINATOR)) is None


def test_a_journey_closes_at_its_end_only() -> None:
    """In the middle of the course it cannot be closed; nor completed before it has begun."""
    assert Code.WRONG_STAGE == refused(v1.integrated(2).do(CLOSE, Role.COORDINATOR))
    assert Code.WRONG_STAGE == refused(v1.prepared().do(COMPLETE))


def test_a_declined_referral_is_over() -> None:
    """A referral may be declined until it is accepted; then the journey is closed."""
    story = Story()
    story.yes(stages.REFERRAL, Role.THERAPIST)
    story.yes(DeclineReferral(reason="Not for us"), Role.COORDINATOR)

    assert Stage.CLOSED is story.journey.stage
    assert Code.WRONG_STAGE == refused(v1.opened().do(DeclineReferral(reason="Late"), Role.COORDINATOR))


def test_silence_is_noticed_and_stays_noticed() -> None:
    """14 days without an appointment and without a word: the coordinator owes a call, until somebody acts."""
    story = v1.integrated(1)

    assert 14 == (story.tasks()["BOOK_NEXT_SESSION"].due_at - story.now).days

    story.after(days=14, minutes=1).outside()
    story.after(days=1).outside()
    codes = [breach.code for breach in story.events(SlaBreached)]

    assert ["BOOK_NEXT_SESSION"] == codes
    assert story.tasks()["BOOK_NEXT_SESSION"].due_at < story.now

    story.yes(stages.vitals(), Role.PATIENT)

    assert story.tasks()["BOOK_NEXT_SESSION"].due_at > story.now


def test_a_missed_deadline_is_recorded_once() -> None:
    """A referral not acknowledged within a business day breaches at that moment, and once, however often one looks."""
    story = Story().at(day(0))
    story.yes(stages.REFERRAL, Role.THERAPIST)
    story.at(day(1, "09:59"))
    early = len(story.events(SlaBreached))
    then = len(story.at(day(1, "10:00")).events(SlaBreached))
    story.at(day(2)).at(day(3))

    assert (0, 1) == (early, then)
    assert ["ACKNOWLEDGE_REFERRAL"] == [breach.code for breach in story.events(SlaBreached)]
