"""``occurred_at`` may lie in the past, since people write things down late; it must not choose a better past.

What has been said since always counts: a hold, a revocation, a newer answer, an ended decision.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.instruments import Answers
from domain.journey.assessment import SubmitGateForm
from domain.journey.consent import ReaffirmConsents, RevokeConsent, SignConsent
from domain.journey.dosing import DecidePredoseVitals, RecordDose, StartDosing
from domain.journey.holds import HoldKind, LiftHold, PlaceHold
from domain.journey.messages import Command
from domain.journey.observations import RecordPregnancyTest
from domain.journey.onboarding import AttestLocation, ConfirmChaperonePresent, VerifyChaperone
from domain.journey.scheduling import SessionKind
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused

MODERATE = Answers(yes_no={"q1": True, "q2": True, "q3": True, "q4": False, "q5": False, "q6": False})


def start_as_of(story: Story, minutes_ago: float) -> Code | None:
    """Say that the dosing began that long ago."""
    command = StartDosing(session_id=v1.dosing_session(story))
    return refused(story.do(command, occurred_at=story.now - timedelta(minutes=minutes_ago)))


def test_a_start_may_be_written_down_a_little_late() -> None:
    """Ten minutes late, with all facts in before it, a start is accepted; and so is the dose."""
    story = v1.ready_to_dose().after(minutes=10)

    assert start_as_of(story, 10) is None

    dose = RecordDose(session_id=v1.dosing_session(story), mg=100, lot="L1")

    assert refused(story.do(dose, occurred_at=story.now - timedelta(minutes=8))) is None


def test_nothing_happens_in_the_future() -> None:
    """A command that says it happened a second from now is refused."""
    assert Code.OCCURRED_IN_FUTURE == start_as_of(v1.ready_to_dose(), -1 / 60)


def test_a_hold_counts_from_now_on_whatever_the_date() -> None:
    """With a hold placed now, neither a start nor a dose of half an hour ago is accepted."""
    story = v1.ready_to_dose()
    v1.start(story)
    story.after(minutes=10).yes(PlaceHold(hold=HoldKind.MEDICAL, reason="Stop"), Role.PRESCRIBER)
    dose = RecordDose(session_id=v1.dosing_session(story), mg=100, lot="L1")
    waiting = v1.ready_to_dose().after(minutes=10)
    waiting.yes(PlaceHold(hold=HoldKind.MEDICAL, reason="Stop"), Role.PRESCRIBER)

    assert Code.HOLD_MEDICAL == start_as_of(waiting, 10)
    assert Code.HOLD_MEDICAL == refused(story.do(dose, occurred_at=story.now - timedelta(minutes=9)))


def test_a_start_of_another_day_is_refused() -> None:
    """Yesterday's green gates start nothing today, nor after midnight."""
    evening = v1.prepared()
    stages.morning(evening, day(22, "23:50"))
    past_midnight = evening.fork().at(day(23, "00:05"))

    assert Code.WRONG_STAGE == start_as_of(v1.ready_to_dose().at(day(23)), 24 * 60)
    assert Code.WRONG_STAGE == start_as_of(past_midnight, 15)
    assert start_as_of(evening, 0) is None


def test_a_dose_of_another_day_is_refused() -> None:
    """A dose cannot be moved to an earlier day, which would shorten the interval to the next one."""
    story = v1.ready_to_dose()
    v1.start(story)
    dose = RecordDose(session_id=v1.dosing_session(story), mg=100, lot="L1")
    story.at(day(23))

    assert Code.WRONG_STAGE == refused(story.do(dose, occurred_at=day(22, "10:05")))


def test_a_dose_is_not_older_than_its_session() -> None:
    """A dose that would come before the start of its session is refused."""
    story = v1.ready_to_dose()
    v1.start(story)
    dose = RecordDose(session_id=v1.dosing_session(story), mg=100, lot="L1")

    assert Code.WRONG_STAGE == refused(story.do(dose, occurred_at=story.now - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("fact", "role", "code"),
    [
        (SubmitGateForm(phq9_item9=0), Role.PATIENT, Code.SI_GATE),
        (stages.screener(), Role.PATIENT, Code.SI_GATE),
        (ReaffirmConsents(), Role.PATIENT, Code.CONSENT),
        (AttestLocation(state="NY", address="Home"), Role.PATIENT, Code.LICENCE),
        (RecordPregnancyTest(result="negative"), Role.THERAPIST, Code.PREGNANCY),
        (ConfirmChaperonePresent(), Role.THERAPIST, Code.CHAPERONE),
        (stages.vitals(), Role.PATIENT, Code.BP_GATE),
    ],
)
def test_what_was_found_out_after_the_start_does_not_justify_it(fact: Command, role: Role, code: Code) -> None:
    """A fact that came in five minutes after the moment of the start is no fact of that moment."""
    story = v1.prepared()
    names = {Code.CONSENT: "consent", Code.LICENCE: "location", Code.PREGNANCY: "pregnancy"}
    names |= {Code.CHAPERONE: "chaperone", Code.BP_GATE: "vitals"}
    si = "screener" if fact.name == "submit_questionnaire" else "forms"
    stages.morning(story, day(22), but=names.get(code, si))
    story.after(minutes=5).yes(fact, role)

    assert code == start_as_of(story, 5)
    assert start_as_of(story, 0) is None


def test_a_decision_after_the_start_does_not_justify_it() -> None:
    """A prescriber's decision about a P2 counts from when it was made."""
    story = v1.prepared()
    stages.morning(story, day(22), but="vitals")
    story.yes(stages.vitals(144, 92), Role.PATIENT)
    story.after(minutes=5).yes(DecidePredoseVitals(decision="proceed", rationale="Fine"), Role.PRESCRIBER)

    assert Code.BP_GATE == start_as_of(story, 3)
    assert start_as_of(story, 0) is None


LATE = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("bad", "good", "role", "code"),
    [
        (stages.screener(MODERATE), stages.screener(), Role.PATIENT, Code.HOLD_SAFETY),
        (
            AttestLocation(state="CA", address="Away"),
            AttestLocation(state="NY", address="Home"),
            Role.PATIENT,
            Code.LICENCE,
        ),
        (
            RecordPregnancyTest(result="positive"),
            RecordPregnancyTest(result="negative"),
            Role.THERAPIST,
            Code.HOLD_MEDICAL,
        ),
        (stages.vitals(150, 92), stages.vitals(120, 80), Role.THERAPIST, Code.BP_GATE),
    ],
)
def test_a_late_entry_does_not_cover_what_was_said_after_it(
    bad: Command, good: Command, role: Role, code: Code
) -> None:
    """Bad news of now is not replaced by good news that is entered after it and dated before it."""
    story = v1.ready_to_dose()
    story.yes(bad, role)
    story.yes(good, role, occurred_at=story.now - LATE)

    assert code == refused(v1.start(story))


def test_a_late_postponement_is_not_covered_by_an_older_go_ahead() -> None:
    """The prescriber's newest decision stands, in whatever order they arrive."""
    story = v1.ready_to_dose()
    story.yes(DecidePredoseVitals(decision="postpone", rationale="No"), Role.PRESCRIBER)
    earlier = DecidePredoseVitals(decision="proceed", rationale="Yes")
    story.yes(earlier, Role.PRESCRIBER, occurred_at=story.now - LATE)

    assert Code.BP_GATE == refused(v1.start(story))


def test_a_signature_from_before_a_revocation_does_not_undo_it() -> None:
    """A consent that was signed offline and arrives after its revocation is not taken; one signed now is."""
    story = v1.ready_to_dose()
    earlier = story.now - LATE
    story.yes(RevokeConsent(scope="ketamine"))
    sign = SignConsent(scope="ketamine", version=1, meaning="I agree")

    assert Code.CONSENT == refused(story.do(sign, occurred_at=earlier))
    assert Code.CONSENT == refused(story.do(ReaffirmConsents(), occurred_at=earlier))
    assert refused(story.do(sign)) is None


def test_nobody_is_present_before_they_were_verified() -> None:
    """A new chaperone cannot be confirmed for a time when somebody else was the chaperone."""
    story = v1.ready_to_dose()
    story.yes(VerifyChaperone(chaperone_name="Cy", phone="+1 212 555 0102", is_adult=True), Role.COORDINATOR)

    assert Code.CHAPERONE == refused(story.do(ConfirmChaperonePresent(), occurred_at=story.now - LATE))


def test_an_ended_decision_is_not_revived_by_an_older_date() -> None:
    """A minute after eligibility ended, a start dated before its end is refused."""
    story = v1.integrated(1)
    decision = story.journey.eligibility.decision
    assert decision is not None
    story.book(SessionKind.DOSING, decision.valid_until - timedelta(minutes=5), 180)
    stages.morning(story, decision.valid_until - timedelta(minutes=5))
    story.now = decision.valid_until + timedelta(minutes=1)  # nobody woke the journey in between

    assert Code.NO_ACTIVE_ELIGIBILITY == start_as_of(story, 6)


@pytest.mark.parametrize(("systolic", "code"), [(139, None), (144, Code.BP_GATE)])
def test_a_start_counts_the_newest_reading(systolic: int, code: Code | None) -> None:
    """A start dated before a P2 reading is judged by that reading too."""
    story = v1.ready_to_dose().after(minutes=5)
    story.yes(stages.vitals(systolic, 85), Role.THERAPIST)

    assert code == start_as_of(story.after(minutes=1), 5)


@pytest.mark.parametrize(("systolic", "code"), [(159, None), (165, Code.DOSE_CEILING)])
def test_a_booster_counts_the_newest_reading(systolic: int, code: Code | None) -> None:
    """A booster dated before a D2 reading is judged by that reading too."""
    story = v1.ready_to_dose()
    session = v1.dosing_session(story)
    v1.start(story)
    story.yes(RecordDose(session_id=session, mg=100, lot="L1"))
    story.after(minutes=45).yes(stages.vitals(118, 74), Role.THERAPIST)
    given_at = story.now
    story.after(minutes=5).yes(stages.vitals(systolic, 80), Role.THERAPIST)
    booster = RecordDose(session_id=session, mg=50, lot="L1", is_booster=True)

    assert code == refused(story.do(booster, occurred_at=given_at))


def test_a_release_counts_the_newest_reading() -> None:
    """A release dated before a bad reading is refused: who was measured then had not gone home."""
    story = v1.ready_to_dose()
    session = v1.dosing_session(story)
    v1.start(story)
    story.yes(RecordDose(session_id=session, mg=100, lot="L1"))
    story.after(minutes=121).yes(stages.vitals(124, 80), Role.THERAPIST)
    leave = stages.release(session, story.now)
    left_at = story.now
    story.after(minutes=5).yes(stages.vitals(170, 104), Role.THERAPIST)

    assert Code.RELEASE == refused(story.do(leave, occurred_at=left_at))


def test_a_follow_up_that_is_written_late_does_not_overrule_a_stop() -> None:
    """A "continue" of last week, entered after today's "stop", changes nothing; a newer one does."""
    story = v1.ready_to_dose(3)
    late = story.book(SessionKind.FOLLOW_UP, story.now, 30)
    stages.follow(story, story.now, "stop")
    story.yes(stages.seen(late), occurred_at=story.now - timedelta(days=7))
    newer = story.fork()
    stages.follow(newer, story.now + timedelta(minutes=5))

    assert ["stop", "continue"] == [one.journey.follow_ups.last_decision for one in (story, newer)]


def test_an_older_negative_test_does_not_cover_a_positive_one() -> None:
    """Also after the prescriber has lifted the hold, the newest test is the positive one."""
    story = v1.ready_to_dose()
    story.yes(RecordPregnancyTest(result="positive"), Role.THERAPIST)
    story.yes(RecordPregnancyTest(result="negative"), Role.THERAPIST, occurred_at=story.now - LATE)
    story.yes(LiftHold(hold=HoldKind.MEDICAL, reason="Seen"), Role.PRESCRIBER)

    assert Code.PREGNANCY == refused(v1.start(story))
