"""The gates of the dosing day itself: INV-2, 7, 8, 10, 11, 12, 24. What is asked today counts today only."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.instruments import Answers
from domain.journey.assessment import SubmitGateForm
from domain.journey.consent import ReaffirmConsents, RevokeConsent, SignConsent
from domain.journey.dosing import DecidePredoseVitals, RecordDose
from domain.journey.holds import HoldKind, LiftHold
from domain.journey.messages import Command
from domain.journey.observations import RecordPregnancyTest
from domain.journey.onboarding import AttestLocation, ConfirmChaperonePresent, RecordHealthHistory, VerifyChaperone
from domain.journey.referral import AssignPrescriber
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused

MISSING = {
    "forms": Code.SI_GATE,
    "screener": Code.SI_GATE,
    "consent": Code.CONSENT,
    "location": Code.LICENCE,
    "pregnancy": Code.PREGNANCY,
    "chaperone": Code.CHAPERONE,
    "vitals": Code.BP_GATE,
}
PROCEED = DecidePredoseVitals(decision="proceed", rationale="Stable for weeks")


def morning_without(fact: str) -> Story:
    """The dosing day with everything but one fact."""
    story = v1.prepared()
    stages.morning(story, day(22), but=fact)
    return story


@pytest.mark.parametrize(("fact", "code"), MISSING.items())
def test_each_fact_of_the_day_is_needed(fact: str, code: Code) -> None:
    """Without one of them the dose is refused with its code."""
    assert code == refused(v1.start(morning_without(fact)))


@pytest.mark.parametrize("fact", [fact for fact in MISSING if fact != "vitals"])
def test_what_was_true_yesterday_is_asked_again(fact: str) -> None:
    """A fact of the evening before, on another local day, does not count; one of this day does."""
    story = v1.prepared()
    stages.morning(story, day(21, "23:59"))
    stages.morning(story, day(22, "00:50"), but=fact)

    assert MISSING[fact] == refused(v1.start(story))


def test_a_day_is_the_patients_own() -> None:
    """Facts from before midnight UTC hold after it: in New York it is the same evening."""
    story = v1.prepared()
    stages.morning(story, day(22, "19:30"))
    before, after = (moment.astimezone(UTC).date() for moment in (day(22, "18:50"), day(22, "19:30")))

    assert before < after

    assert refused(v1.start(story)) is None


@pytest.mark.parametrize(("age", "code"), [(30, None), (31, Code.BP_GATE)])
def test_inv_7_vital_signs_are_good_for_thirty_minutes(age: int, code: Code | None) -> None:
    """A reading of 30 minutes ago is fresh enough; one of 31 is not."""
    story = morning_without("vitals")
    story.yes(stages.vitals(), Role.PATIENT, occurred_at=story.now - timedelta(minutes=age))

    assert code == refused(v1.start(story))


@pytest.mark.parametrize(
    ("systolic", "diastolic", "heart_rate", "code"),
    [(139, 89, 88, None), (140, 85, 74, Code.BP_GATE), (160, 88, 74, Code.BP_GATE), (182, 90, 74, Code.BP_GATE)],
)
def test_inv_7_only_p1_passes_by_itself(systolic: int, diastolic: int, heart_rate: int, code: Code | None) -> None:
    """P1 passes; P2, P3 and P4 do not."""
    story = morning_without("vitals")
    story.yes(stages.vitals(systolic, diastolic, heart_rate), Role.PATIENT)

    assert code == refused(v1.start(story))


def test_inv_7_a_p2_may_come_down_by_rest() -> None:
    """146/92, then 138/88 after 15 minutes: proceed (V2, dose 1)."""
    story = morning_without("vitals")
    story.yes(stages.vitals(146, 92), Role.PATIENT)
    story.after(minutes=15).yes(stages.vitals(138, 88), Role.PATIENT)

    assert refused(v1.start(story)) is None


def test_inv_7_a_p2_with_the_prescribers_decision_passes_at_a_reduced_dose() -> None:
    """158/98, then 144/92, "proceed, 50 %": allowed, with at most half of the dose."""
    story = morning_without("vitals")
    story.yes(stages.vitals(158, 98), Role.PATIENT)
    story.after(minutes=15).yes(stages.vitals(144, 92), Role.PATIENT)
    reduced = DecidePredoseVitals(decision="proceed_reduced", dose_fraction_max=0.5, rationale="Half")
    story.yes(reduced, Role.PRESCRIBER)
    dose = {"session_id": v1.dosing_session(story), "lot": "L1"}

    assert refused(v1.start(story)) is None
    assert Code.DOSE_CEILING == refused(story.do(RecordDose.model_validate(dose | {"mg": 50.1})))
    assert refused(story.do(RecordDose.model_validate(dose | {"mg": 50.0}))) is None


def test_inv_7_a_decision_is_about_the_reading_it_saw() -> None:
    """After "proceed" on one P2, a newer P2 needs a new decision."""
    story = morning_without("vitals")
    story.yes(stages.vitals(144, 92), Role.PATIENT)
    story.yes(PROCEED, Role.PRESCRIBER)
    again = story.fork().after(minutes=5)
    again.yes(stages.vitals(150, 92), Role.PATIENT)

    assert refused(v1.start(story)) is None
    assert Code.BP_GATE == refused(v1.start(again))


def test_inv_7_a_postponed_day_stays_postponed() -> None:
    """The prescriber's "postpone" stands that day, even when the pressure comes down; their later word lifts it."""
    story = morning_without("vitals")
    story.yes(stages.vitals(144, 92), Role.PATIENT)
    story.yes(DecidePredoseVitals(decision="postpone", rationale="Not today"), Role.PRESCRIBER)
    story.after(minutes=15).yes(stages.vitals(120, 80), Role.PATIENT)

    assert Code.BP_GATE == refused(v1.start(story))

    story.yes(PROCEED, Role.PRESCRIBER)

    assert refused(v1.start(story)) is None


@pytest.mark.parametrize("reading", [(162, 98), (182, 90)])
def test_inv_7_nobody_measures_again_until_it_fits(reading: tuple[int, int]) -> None:
    """A P3 or P4 ends the day: neither a later P1 nor a decision brings the dose back."""
    story = morning_without("vitals")
    story.yes(stages.vitals(*reading), Role.PATIENT)
    story.after(minutes=10).yes(stages.vitals(120, 80), Role.PATIENT)
    story.yes(PROCEED, Role.PRESCRIBER)

    assert Code.BP_GATE == refused(v1.start(story))


def test_inv_7_a_reduced_dose_names_its_part() -> None:
    """To proceed reduced without a fraction below 1 reduces nothing, and is refused."""
    story = v1.ready_to_dose()
    whole = DecidePredoseVitals(decision="proceed_reduced", rationale="Less")

    assert Code.DOSE_CEILING == refused(story.do(whole, Role.PRESCRIBER))


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"q1": True, "q2": False, "q6": False}, None),
        ({"q1": True, "q2": True, "q3": False, "q4": False, "q5": False, "q6": False}, None),
        ({"q1": True, "q2": True, "q3": True, "q4": False, "q5": False, "q6": False}, Code.SI_GATE),
    ],
)
def test_inv_8_a_tier_up_to_low_passes(answers: dict[str, bool], code: Code | None) -> None:
    """None and low pass; moderate does not, also after the prescriber has lifted its hold."""
    story = v1.ready_to_dose()
    story.yes(stages.screener(Answers(yes_no=answers)), Role.PATIENT)
    if code is not None:
        story.yes(LiftHold(hold=HoldKind.SAFETY, reason="Reviewed"), Role.PRESCRIBER)

    assert code == refused(v1.start(story))


def test_inv_8_item_9_alone_does_not_stop_a_low_tier() -> None:
    """Item 9 = 1 with C-SSRS low was answered today: the dose may begin (V3, doses 1 and 2)."""
    story = v1.ready_to_dose()
    story.yes(SubmitGateForm(phq9_item9=1), Role.PATIENT)

    assert refused(v1.start(story)) is None


def test_inv_10_a_new_chaperone_must_be_seen_too() -> None:
    """Another chaperone who is verified after the first was seen must be confirmed again; a minor never is one."""
    story = v1.ready_to_dose()
    other = VerifyChaperone(chaperone_name="Cy", phone="+1 212 555 0102", is_adult=True)
    story.yes(other, Role.COORDINATOR)

    assert Code.CHAPERONE == refused(v1.start(story))

    story.yes(ConfirmChaperonePresent())

    assert refused(v1.start(story)) is None
    assert Code.CHAPERONE == refused(story.do(other.model_copy(update={"is_adult": False}), Role.COORDINATOR))


@pytest.mark.parametrize(("state", "code"), [("NY", None), ("NJ", Code.LICENCE), ("CA", Code.LICENCE)])
def test_inv_11_both_are_licensed_where_the_patient_is(state: str, code: Code | None) -> None:
    """New York: both; New Jersey: the prescriber only; California: neither."""
    story = v1.ready_to_dose()
    story.yes(AttestLocation(state=state, address="Elsewhere"), Role.THERAPIST)

    assert code == refused(v1.start(story))


def test_inv_11_the_prescriber_too_is_licensed_there() -> None:
    """A prescriber without a licence in New York stops a dose there, even with a therapist who has one."""
    story = v1.ready_to_dose()
    elsewhere = stages.PRESCRIBER.model_copy(update={"licence_states": ("NJ",)})
    story.yes(AssignPrescriber(prescriber=elsewhere))

    assert Code.LICENCE == refused(v1.start(story))


@pytest.mark.parametrize(
    ("by", "days_ago", "code"),
    [(Role.PRESCRIBER, 0, None), (Role.PRESCRIBER, 30, Code.PREGNANCY), (Role.PATIENT, 0, Code.PREGNANCY)],
)
def test_inv_12_only_a_clinician_ends_the_tests(by: Role, days_ago: int, code: Code | None) -> None:
    """After a "yes" no test is needed once a clinician says "no"; a patient's "no" or one dated before it ends none."""
    story = morning_without("pregnancy")
    no = RecordHealthHistory(could_become_pregnant=False)
    story.yes(no, by, occurred_at=story.now - timedelta(days=days_ago))

    assert code == refused(v1.start(story))


def test_inv_12_a_positive_test_outweighs_everything() -> None:
    """A positive test holds the journey for the prescriber; a form or a lifted hold brings no dose, a new test does."""
    story = v1.ready_to_dose()
    story.yes(RecordPregnancyTest(result="positive"), Role.THERAPIST)

    assert Code.HOLD_MEDICAL == refused(v1.start(story))

    story.yes(RecordHealthHistory(could_become_pregnant=False), Role.PRESCRIBER)
    story.yes(LiftHold(hold=HoldKind.MEDICAL, reason="Seen"), Role.PRESCRIBER)

    assert Code.PREGNANCY == refused(v1.start(story))

    story.yes(RecordPregnancyTest(result="negative"), Role.THERAPIST)

    assert refused(v1.start(story)) is None


@pytest.mark.parametrize(
    ("signed_again", "code"),
    [((), Code.CONSENT), ((SignConsent(scope="ketamine", version=1, meaning="I agree"),), Code.CONSENT)],
)
def test_inv_2_a_revoked_consent_must_be_signed_and_re_affirmed(signed_again: tuple[Command, ...], code: Code) -> None:
    """After a revocation neither nothing nor a signature alone is enough; re-affirming after it is."""
    story = v1.ready_to_dose()
    story.yes(RevokeConsent(scope="ketamine"))
    for command in signed_again:
        story.yes(command)

    assert code == refused(v1.start(story))
    assert signed_again or "RENEW_CONSENT" in story.tasks()

    story.do(SignConsent(scope="ketamine", version=1, meaning="I agree"))
    story.yes(ReaffirmConsents())

    assert refused(v1.start(story)) is None


def test_inv_24_an_old_version_is_refused_where_it_is_signed() -> None:
    """A consent in a version below the protocol's is not taken."""
    story = v1.onboarded()
    policy = stages.POLICY.model_copy(update={"consents": {**stages.POLICY.consents, "ketamine": 2}})
    story.policy = policy

    assert Code.CONSENT_OUTDATED == refused(story.do(SignConsent(scope="ketamine", version=1, meaning="I agree")))
    assert refused(story.do(SignConsent(scope="ketamine", version=2, meaning="I agree"))) is None


def test_inv_24_a_consent_that_has_become_outdated_stops_dosing() -> None:
    """When the protocol asks for a newer version, yesterday's signature is not enough for a dose."""
    story = v1.ready_to_dose()
    story.policy = stages.POLICY.model_copy(update={"consents": {**stages.POLICY.consents, "ketamine": 2}})

    assert Code.CONSENT_OUTDATED == refused(v1.start(story))

    story.yes(SignConsent(scope="ketamine", version=2, meaning="I agree"))
    story.yes(ReaffirmConsents())

    assert refused(v1.start(story)) is None
