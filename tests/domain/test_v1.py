"""V1, the eligible responder, from referral to the end of the course: every check of domain.md §9."""

from __future__ import annotations

from datetime import timedelta

from domain.codes import Code
from domain.envelope import Role
from domain.journey import outcomes
from domain.journey.assessment import ScoreComputed
from domain.journey.clocks import SlaBreached
from domain.journey.course import CloseJourney
from domain.journey.dosing import DosingStarted, StartDosing
from domain.journey.eligibility import EligibilityDecided, IntakeCompleted
from domain.journey.follow_up import FollowUpCompleted
from domain.journey.messages import Event
from domain.journey.referral import ReferralSubmitted
from domain.journey.release import DosingReleased
from domain.journey.scheduling import ScheduleSession, SessionKind
from domain.journey.stages import Stage
from tests.domain import stages, v1
from tests.domain.kit import NEW_YORK, Story, day, refused


def days_of(story: Story, *kinds: type[Event]) -> list[int]:
    """On which days of V1 these events happened, in order."""
    names = {kind.type for kind in kinds}
    found = [r.header.occurred_at for r in story.records if r.header.type in names]
    return [(at.astimezone(NEW_YORK).date() - day(0).date()).days for at in found]


def test_every_clock_of_the_course_is_kept() -> None:
    """SLA-3 is met on D8, SLA-4 on the same day, SLA-8 14 days after the decision; nothing else was late either."""
    story = v1.completed()

    assert [0] == days_of(story, ReferralSubmitted)
    assert [8] == days_of(story, IntakeCompleted)
    assert [8] == days_of(story, EligibilityDecided)
    assert 22 == days_of(story, DosingStarted)[0]
    assert [] == story.events(SlaBreached)
    assert Stage.COURSE_COMPLETE is story.journey.stage


def test_the_decision_is_good_to_day_188() -> None:
    """An eligibility decision of D8 ends after 180 days."""
    decided = v1.eligible().events(EligibilityDecided)[0]

    assert day(8, "16:00") + timedelta(days=180) == decided.valid_until
    assert (123.0, 77.0) == (decided.systolic_mean, decided.diastolic_mean)


def test_the_forms_of_the_onboarding_score_as_written() -> None:
    """PHQ-9 17, GAD-7 13, AUDIT-C 2, DAST-10 0, WHO-5 28 %, WAI-SR 50, C-SSRS none."""
    scores = [scored.score for scored in v1.onboarded().events(ScoreComputed)]

    assert {"PHQ-9": 17, "GAD-7": 13, "AUDIT-C": 2, "DAST-10": 0, "WAI-SR": 50} == {
        s.instrument: s.total for s in scores if s.instrument not in {"WHO-5", "C-SSRS screener"}
    }
    assert 28 in {n for s in scores if s.instrument == "WHO-5" for n in (s.total, *s.derived.values())}
    assert ["none"] == [s.tier for s in scores if s.tier is not None]


def test_the_first_follow_up_finds_the_patient_on_track() -> None:
    """At D38 the PHQ-9 fell by 29 % and 5 points: MBC-1 is not raised, and 5 is no reliable improvement yet."""
    story = v1.followed_up()
    phq9 = story.events(outcomes.ChangeAssessed)[0]

    assert [38] == days_of(story, FollowUpCompleted)
    assert ("PHQ-9", -5.0, -29.4, None) == (phq9.instrument, phq9.points, phq9.percent, phq9.reliable)
    assert [] == story.events(outcomes.NotOnTrack)
    assert ("GAD-7",) == story.journey.outcomes.improved


def test_response_and_remission_come_on_their_days() -> None:
    """PHQ-9: response and reliable improvement first on D66; remission of both instruments on D122."""
    story = v1.completed()

    assert [66, 94] == days_of(story, outcomes.ResponseAchieved)
    assert "PHQ-9" == story.events(outcomes.ResponseAchieved)[0].instrument
    assert [38, 66] == days_of(story, outcomes.ReliableImprovementAchieved)
    assert [122, 122] == days_of(story, outcomes.RemissionAchieved)
    assert {"PHQ-9", "GAD-7"} == set(story.journey.outcomes.remitted)


def test_eight_doses_use_up_two_batches() -> None:
    """Eight dosing days at V1's dates; the batches of 2 and 6 are used up; release came at +150 and at +165."""
    story = v1.completed()

    assert list(v1.DOSE_DAYS) == days_of(story, DosingReleased)
    assert [(2, 0), (6, 0)] == [(rx.sessions_used, rx.sessions_left) for rx in story.journey.prescriptions.all]
    assert 150.0 == story.journey.dosing.records[1].total_mg
    released = story.events(DosingReleased)
    assert (150, 120) == (released[0].minutes_since_last_dose, released[1].minutes_since_last_dose)


def test_a_ninth_dose_is_refused() -> None:
    """After eight doses no authorised session is left."""
    story = v1.integrated(8)
    session = story.book(SessionKind.DOSING, day(134), 180)
    stages.morning(story, day(134))

    assert Code.NO_DOSES == refused(story.do(StartDosing(session_id=session)))


def test_the_second_dose_waits_for_the_integration_of_the_first() -> None:
    """Before the integration of D24 dose 2 may be booked, and may not be started."""
    story = v1.dosed(1)
    book = ScheduleSession(kind=SessionKind.DOSING, starts_at=day(36), minutes=180)

    assert refused(story.do(book, Role.COORDINATOR)) is None

    stages.morning(story, day(36))

    assert Code.INTEGRATION_DUE == refused(v1.start(story))


def test_the_third_dose_waits_for_the_follow_up() -> None:
    """Before the follow-up of D38 a third dose is refused, whatever else is missing too."""
    story = v1.integrated(2)
    story.book(SessionKind.DOSING, day(50), 180)
    stages.morning(story, day(50))

    assert Code.FOLLOWUP_DUE == refused(v1.start(story))


def test_the_journey_closes_when_nothing_is_left_open() -> None:
    """After the course it may be closed; a closed journey owes nobody anything more."""
    story = v1.completed()
    story.yes(CloseJourney(reason="Done"), Role.COORDINATOR)
    story.outside()

    assert Stage.CLOSED is story.journey.stage
    assert () == story.due()
    assert Code.JOURNEY_CLOSED == refused(story.do(stages.vitals(), Role.PATIENT))


def test_after_the_course_forms_are_asked_for_at_one_three_and_six_months() -> None:
    """The patient owes follow-up forms 30, 90 and 180 days after the end; then the coordinator closes."""
    story = v1.completed()
    asked = []
    for after in (30, 90, 180):
        asked.append((story.tasks()["SUBMIT_FOLLOW_UP_FORMS"].due_at - day(127)).days)
        story.at(day(127 + after - 1))
        v1.fill_in(story, 122)

    assert [30, 90, 180] == asked
    assert "CLOSE_JOURNEY" in story.tasks()
