"""V1, the eligible responder (domain.md §9), step by step: each function brings a journey one stage further.

V1's own numbers stand here; ``v1`` puts the steps together on V1's own dates.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from domain import protocols
from domain.effects import Address, PersonName
from domain.envelope import Role
from domain.instruments import Answers
from domain.journey import (
    assessment,
    consent,
    dispensing,
    dosing,
    eligibility,
    follow_up,
    observations,
    onboarding,
    referral,
    therapy,
)
from domain.journey import prescription as rx
from domain.journey.release import ReleasePatient
from domain.journey.scheduling import SessionKind
from tests.domain.kit import ACTORS, Story, day

POLICY = protocols.protocol("ketamine_sl.v1")
PHQ9 = {
    2: (3, 3, 2, 2, 2, 2, 2, 1, 0),
    38: (2, 2, 2, 1, 2, 1, 1, 1, 0),
    66: (1, 1, 1, 1, 1, 1, 1, 1, 0),
    94: (1, 1, 1, 1, 1, 1, 0, 0, 0),
    122: (1, 1, 1, 1, 0, 0, 0, 0, 0),
}
GAD7 = {
    2: (2, 2, 2, 2, 2, 2, 1),
    38: (2, 2, 1, 1, 1, 1, 1),
    66: (1,) * 7,
    94: (1, 1, 1, 1, 1, 0, 0),
    122: (1, 1, 1, 0, 0, 0, 0),
}
WAI50 = (4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5)
NO_IDEATION = Answers(yes_no={"q1": False, "q2": False, "q6": False})
THERAPIST = referral.Therapist(subject=ACTORS[Role.THERAPIST].subject, licence_states=("NY",))
PRESCRIBER = referral.Prescriber(
    subject=ACTORS[Role.PRESCRIBER].subject,
    npi="1234567893",
    dea="FP1234563",
    licence_states=("NY", "NJ"),
    time_zone="America/New_York",
)
PATIENT = referral.Patient(
    name=PersonName(given="Ada", family="Example"),
    birth_date=date(1987, 6, 1),
    sex="female",
    email="ada@example.org",
    phone="+1 212 555 0100",
    address=Address(line="1 Example Street", city="New York", state="NY", postal_code="10001"),
    time_zone="America/New_York",
)
REFERRAL = referral.SubmitReferral(
    patient=PATIENT,
    therapist=THERAPIST,
    diagnosis_icd10="F33.1",
    presenting_problem="Recurrent depression",
    alliance_since=date(2025, 3, 1),
    modality="remote",
)
SIGNATURE = rx.Signature(method="embedded_simulated", factor_types=("know", "have"), certificate_thumbprint="a" * 64)
FIRST_BATCH = rx.Draft(
    strength_mg=50,
    quantity=6,
    sig="Dissolve 100 mg under the tongue at the session",
    dose_mg=100,
    booster_mg=50,
    sessions_authorised=2,
    max_mg_per_session=150,
    days_supply=30,
)
NEXT_BATCH = FIRST_BATCH.model_copy(update={"quantity": 18, "sessions_authorised": 6, "days_supply": 90})


def form(instrument: str, *items: bool | int) -> assessment.SubmitQuestionnaire:
    """Fill in a form in item order."""
    return assessment.SubmitQuestionnaire(instrument=instrument, answers=Answers(items=items))


def screener(answers: Answers = NO_IDEATION) -> assessment.SubmitQuestionnaire:
    """Fill in the C-SSRS screener."""
    return assessment.SubmitQuestionnaire(instrument="C-SSRS screener", answers=answers)


def findings(**differing: eligibility.Finding) -> tuple[eligibility.Finding, ...]:
    """Answer every criterion as it should be, but for those named, with ``_`` for ``-``."""
    usual = {
        name: eligibility.Finding(criterion=name, met="true" if kind == "I" else "false", source="clinician")
        for name, kind in POLICY.eligibility.criteria.items()
    }
    return tuple((usual | {name.replace("_", "-"): one for name, one in differing.items()}).values())


def verdict(
    outcome: eligibility.Outcome = eligibility.Outcome.ELIGIBLE, **rest: object
) -> eligibility.DecideEligibility:
    """Decide; every criterion answered, a ceiling of 150 mg a session."""
    usual = {"outcome": outcome, "criteria": findings(), "dose_ceiling_mg": 150.0, "rationale": "Fits the protocol"}
    return eligibility.DecideEligibility.model_validate(usual | rest)


def vitals(systolic: int = 122, diastolic: int = 78, heart_rate: int = 74, **rest: object) -> observations.RecordVitals:
    """Measure; V1's first pre-dose reading unless told otherwise."""
    return observations.RecordVitals.model_validate(
        {"systolic": systolic, "diastolic": diastolic, "heart_rate": heart_rate} | rest
    )


# --- one step each ------------------------------------------------------------------------------------------------


def refer(story: Story) -> None:
    """Submit, acknowledge and accept the referral on D0."""
    story.at(day(0))
    story.yes(REFERRAL, Role.THERAPIST)
    story.at(day(0, "11:00")).yes(referral.AcknowledgeReferral())
    story.yes(referral.AcceptReferral())
    story.yes(referral.AssignPrescriber(prescriber=PRESCRIBER))
    story.outside()


def come_aboard(story: Story) -> None:
    """Fill in every form of the onboarding on D1 and D2; the last one completes it."""
    patient = Role.PATIENT
    story.at(day(1)).yes(onboarding.ActivatePortal())
    story.yes(onboarding.VerifyIdentity(document="driving_licence"))
    story.yes(onboarding.AttestLocation(state="NY", address="1 Example Street"), patient)
    contact = onboarding.RecordEmergencyContact(contact_name="Bo", phone="+1 212 555 0101", relationship="sister")
    story.yes(contact, patient)
    chaperone = onboarding.VerifyChaperone(chaperone_name="Bo", phone="+1 212 555 0101", is_adult=True)
    story.yes(chaperone, Role.COORDINATOR)
    story.yes(onboarding.ChoosePharmacy(pharmacy="Corner Compounding"), patient)
    history = onboarding.RecordHealthHistory(medications=("escitalopram 10 mg",), could_become_pregnant=True)
    story.yes(history, patient)
    story.at(day(2))
    for scope, version in POLICY.consents.items():
        story.yes(consent.SignConsent(scope=scope, version=version, meaning="I agree"))
    story.yes(form("PHQ-9", *PHQ9[2]), patient)
    story.yes(form("GAD-7", *GAD7[2]), patient)
    story.yes(form("AUDIT-C", 1, 1, 0), patient)
    story.yes(form("DAST-10", False, False, True, *(False,) * 7), patient)
    story.yes(form("WHO-5", 2, 2, 1, 1, 1), patient)
    story.yes(screener(), patient)
    story.yes(form("WAI-SR", *WAI50), patient)
    story.outside()


def hold_intake(story: Story) -> None:
    """Hold the medical intake of D8: two readings, weight, a pregnancy test, the PDMP."""
    session = story.book(SessionKind.INTAKE, day(8, "15:00"))
    story.at(day(8, "14:00")).yes(rx.QueryPdmp())
    story.outside()
    story.at(day(8, "15:05")).yes(vitals(124, 78, 72), Role.PRESCRIBER)
    story.at(day(8, "15:15")).yes(vitals(122, 76, 72), Role.PRESCRIBER)
    story.yes(observations.RecordMeasurements(weight_kg=68, height_cm=168), Role.PRESCRIBER)
    story.yes(observations.RecordPregnancyTest(result="negative"), Role.PRESCRIBER)
    story.at(day(8, "15:50"))
    story.yes(eligibility.CompleteIntake(session_id=session, mental_status="Euthymic", history="Recurrent depression"))
    story.outside()


def prescribe(story: Story, draft: rx.Draft = FIRST_BATCH) -> UUID:
    """Draft, sign and send a prescription; the pharmacy accepts it."""
    story.yes(rx.DraftPrescription(draft=draft))
    rx_id = story.last_id
    story.yes(rx.SignPrescription(rx_id=rx_id, telemedicine_basis="flexibility_2026", signature=SIGNATURE))
    story.outside()
    story.yes(dispensing.PharmacyStatusReceived(key=key_of(story, rx_id), code="010", accepted=True))
    return rx_id


def key_of(story: Story, rx_id: UUID) -> str:
    """The key under which the pharmacy knows a prescription."""
    found = story.journey.prescriptions.find(rx_id)
    assert found is not None
    assert found.key is not None
    return found.key


def deliver(story: Story, rx_id: UUID, filled: datetime, delivered: datetime) -> None:
    """Fill and hand over, good for 180 days."""
    key = key_of(story, rx_id)
    good_until = (filled + timedelta(days=180)).date()
    story.at(filled)
    fill = dispensing.PharmacyFillReported(key=key, note="Dispensed", lot="L1", quantity=6, beyond_use_on=good_until)
    story.yes(fill)
    story.at(delivered).yes(dispensing.PharmacyDeliveryReported(key=key, signed_by_adult=True))


def prepare(story: Story, when: datetime, by: Role = Role.THERAPIST) -> None:
    """Hold a preparation session."""
    session = story.book(SessionKind.PREPARATION, when)
    story.at(when + timedelta(minutes=55))
    held = therapy.CompletePreparation(
        session_id=session, intentions="Rest", touch_consent=False, safety_plan="Agreed", transport_plan="Sister"
    )
    story.yes(held, by)
    story.outside()


def morning(story: Story, when: datetime, *, but: str = "") -> None:
    """Bring in what must be true on the dosing day, in the hour before ``when``; all ``but`` one thing, by name."""
    story.at(when - timedelta(minutes=40))
    facts = {
        "forms": (assessment.SubmitGateForm(phq9_item9=0), Role.PATIENT),
        "screener": (screener(), Role.PATIENT),
        "consent": (consent.ReaffirmConsents(), Role.PATIENT),
        "location": (onboarding.AttestLocation(state="NY", address="1 Example Street"), Role.PATIENT),
        "pregnancy": (observations.RecordPregnancyTest(result="negative"), Role.THERAPIST),
        "chaperone": (onboarding.ConfirmChaperonePresent(), Role.THERAPIST),
        "attest": (
            dosing.AttestPredose.model_validate(
                dict.fromkeys(dosing.AttestPredose.model_fields, True) | {"new_illness_or_medication": False}
            ),
            Role.PATIENT,
        ),
    }
    for name, (command, role) in facts.items():
        if name != but:
            story.yes(command, role)
    story.at(when - timedelta(minutes=12))
    if but != "vitals":
        story.yes(vitals(), Role.PATIENT)
    story.at(when)


def take_dose(story: Story, session: UUID, *, booster: bool = False) -> None:
    """Start, swallow 100 mg and perhaps 50 mg at +45, look in all along, release at +150 or +165."""
    start = story.now
    post = {120: (130, 84), 160: (126, 80)} if booster else {120: (128, 82), 145: (124, 80)}
    story.yes(dosing.StartDosing(session_id=session))
    story.yes(dosing.RecordDose(session_id=session, mg=100, lot="L1"))
    happenings = [(minute, "look") for minute in range(14, 165 if booster else 150, 14)]
    happenings += [(minute, "vitals") for minute in post]
    happenings += [(45, "booster")] if booster else []
    for minute, what in sorted(happenings):
        story.at(start + timedelta(minutes=minute))
        if what == "booster":
            story.yes(vitals(118, 74, 76, session_id=session), Role.THERAPIST)
            story.yes(dosing.RecordDose(session_id=session, mg=50, lot="L1", is_booster=True))
        elif what == "vitals":
            story.yes(vitals(*post[minute], 76, session_id=session), Role.THERAPIST)
        else:
            story.yes(look(session))
    story.at(start + timedelta(minutes=165 if booster else 150)).yes(release(session, story.now))
    story.outside()


def look(session: UUID) -> dosing.RecordCheckIn:
    """Look in on a patient who is well."""
    return dosing.RecordCheckIn(session_id=session, responsive=True, breathing_normal=True, distress=1)


def release(session: UUID, when: datetime, **differing: bool) -> ReleasePatient:
    """Release a patient of whom all is true that must be."""
    usual = {"oriented": True, "gait_steady": True, "vomiting": False, "new_suicidal_ideation": False}
    facts = usual | {"escort_present": True} | differing
    return ReleasePatient.model_validate({"session_id": session, "no_drive_until": when + timedelta(hours=20), **facts})


def integrate(story: Story, dosing_session: UUID, when: datetime) -> None:
    """Hold the integration of a dose, with the alliance form after it."""
    session = story.book(SessionKind.INTEGRATION, when)
    story.at(when + timedelta(minutes=55))
    held = therapy.CompleteIntegration(
        session_id=session,
        dosing_session_id=dosing_session,
        themes="Letting go",
        actions="Call sister",
        adverse_events_rechecked=True,
    )
    story.yes(held)
    story.yes(form("WAI-SR", *WAI50), Role.PATIENT)
    story.outside()


def follow(story: Story, when: datetime, decision: str = "continue") -> None:
    """Hold a medical follow-up."""
    session = story.book(SessionKind.FOLLOW_UP, when, 30)
    story.at(when + timedelta(minutes=25)).yes(seen(session, decision))
    story.outside()


def seen(session: UUID, decision: str = "continue") -> follow_up.CompleteFollowUp:
    """Say what a follow-up decided."""
    held = {"session_id": session, "decision": decision, "rationale": "Better", "bladder_symptoms": False}
    return follow_up.CompleteFollowUp.model_validate(held | {"adverse_events_reviewed": True})
