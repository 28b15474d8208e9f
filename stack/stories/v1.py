"""V1, the eligible responder (domain.md §9): from the referral on a Monday in January to a completed course in May.

F 38, recurrent major depression, escitalopram 10 mg, 68 kg. Every number below is the worked case's.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from domain.protocols import newest
from stack.people import subject
from stack.stories.teller import Json, Teller

TITLE = "V1 Eligible responder"
DAY_ZERO = date(2026, 1, 5)
ZONE = ZoneInfo("America/New_York")
DOSING_DAYS = (22, 36, 50, 64, 78, 92, 106, 120)
PHQ9 = {
    2: [3, 3, 2, 2, 2, 2, 2, 1, 0],
    38: [2, 2, 2, 1, 2, 1, 1, 1, 0],
    66: [1, 1, 1, 1, 1, 1, 1, 1, 0],
    94: [1, 1, 1, 1, 1, 1, 0, 0, 0],
    122: [1, 1, 1, 1, 0, 0, 0, 0, 0],
}
GAD7 = {
    2: [2, 2, 2, 2, 2, 2, 1],
    38: [2, 2, 1, 1, 1, 1, 1],
    66: [1, 1, 1, 1, 1, 1, 1],
    94: [1, 1, 1, 1, 1, 0, 0],
    122: [1, 1, 1, 0, 0, 0, 0],
}
WAI_SR_TOTALS = (50, 51, 52, 52, 53, 54, 54, 55)
NO_SUICIDALITY = {"yes_no": {"q1": False, "q2": False, "q6": False}}


def wai_sr(total: int) -> list[int]:
    """Twelve answers of 1 to 5 that add up to this total."""
    base, more = divmod(total, 12)
    return [base + 1] * more + [base] * (12 - more)


async def up_to_the_first_dose(t: Teller) -> str:
    """From the referral to the first release; the dosing session's id."""
    await _referral_and_onboarding(t)
    await _intake_and_decision(t)
    await _prescription(t, day=8, sessions=2, fill_day=10, delivery_day=12, number=1)
    await _preparation(t)
    session = await _book(t, "dosing", DOSING_DAYS[0])
    await _dosing_day(t, session, DOSING_DAYS[0], 0)
    return session


async def tell(t: Teller) -> None:
    """The whole case."""
    sessions = [await up_to_the_first_dose(t)]
    sessions.append(await _book(t, "dosing", DOSING_DAYS[1]))
    await t.at(t.day(23, "10:00"), "A dose before the integration is refused")
    t.check(
        "starting dose 2 before the D24 integration is refused INTEGRATION_DUE; booking it is not",
        await t.refused("INTEGRATION_DUE", "therapist", "start_dosing", session_id=sessions[1]),
    )
    await integration(t, sessions[0], 24, 0)
    await _dosing_day(t, sessions[1], DOSING_DAYS[1], 1)
    await integration(t, sessions[1], 38, 1)
    await _follow_up(t)
    await _prescription(t, day=38, sessions=6, fill_day=40, delivery_day=42, number=2)
    for number, day in enumerate(DOSING_DAYS[2:], start=2):
        sessions.append(await _book(t, "dosing", day))
        await _dosing_day(t, sessions[number], day, number)
        await integration(t, sessions[number], day + 2, number)
    await _completion(t)
    await _facts(t)


async def _referral_and_onboarding(t: Teller) -> None:
    await t.at(t.day(0, "09:00"), "Referral")
    await t.refer(
        "therapist",
        patient={
            "name": {"given": "Vera", "family": "Onetta"},
            "birth_date": "1987-06-15",
            "sex": "female",
            "email": "vera@patient.example",
            "phone": "+1-555-0100",
            "address": {"line": "12 Elm Street", "city": "Albany", "state": "NY", "postal_code": "12207"},
            "time_zone": str(ZONE),
        },
        therapist={"subject": subject("therapist"), "licence_states": ["NY"]},
        diagnosis_icd10="F33.2",
        presenting_problem="Recurrent major depression; escitalopram 10 mg.",
        known_risks="None known.",
        alliance_since="2025-06-01",
        modality="remote",
    )
    await t.tell("coordinator", "acknowledge_referral")
    await t.tell("coordinator", "accept_referral")
    prescriber = {"npi": "1234567893", "dea": "BA1234563", "licence_states": ["NY"], "time_zone": str(ZONE)}
    await t.tell("coordinator", "assign_prescriber", prescriber={"subject": subject("prescriber"), **prescriber})
    await t.at(t.day(1, "18:00"), "Portal")
    await t.tell("patient", "activate_portal")
    await t.at(t.day(2, "19:00"), "Onboarding forms and consents")
    await t.tell("coordinator", "verify_identity", document="driving_licence")
    await t.tell("patient", "attest_location", state="NY", address="12 Elm Street, Albany")
    contact = {"contact_name": "Otto Onetta", "phone": "+1-555-0101", "relationship": "brother"}
    await t.tell("patient", "record_emergency_contact", **contact)
    await t.tell("coordinator", "verify_chaperone", chaperone_name="Nora Neu", phone="+1-555-0102", is_adult=True)
    await t.tell("patient", "choose_pharmacy", pharmacy="Example Compounding Pharmacy")
    history = {"medications": ["escitalopram 10 mg"], "allergies": ["none known"], "conditions": ["none other"]}
    narrative = "Three episodes since 2015; no psychosis, no mania, no heart disease."
    await t.tell("patient", "record_health_history", **history, narrative=narrative, could_become_pregnant=True)
    for scope in ("treatment", "ketamine", "telehealth"):
        await t.tell("patient", "sign_consent", scope=scope, version=1, meaning="I consent to this treatment")
    await _questionnaires(t, 2)
    await _submit(t, "AUDIT-C", {"items": [1, 1, 0]})
    await _submit(t, "DAST-10", {"items": [False, False, True, *[False] * 7]})
    await _submit(t, "WHO-5", {"items": [2, 2, 1, 1, 1]})
    await _submit(t, "C-SSRS screener", NO_SUICIDALITY)
    await _submit(t, "WAI-SR", {"items": wai_sr(50)})
    await _book(t, "intake", 8)


async def _intake_and_decision(t: Teller) -> None:
    session = t.booked["intake"]
    await t.at(t.day(8, "09:00"), "Medical intake")
    await t.tell("prescriber", "query_pdmp")
    await t.until("the PDMP's answer", lambda: t.happened("pdmp_queried.v1"))
    await t.tell("prescriber", "record_vitals", systolic=124, diastolic=78, heart_rate=72)
    await t.at(t.day(8, "09:02"), "Medical intake")
    await t.tell("prescriber", "record_vitals", systolic=122, diastolic=76, heart_rate=72)
    await t.tell("prescriber", "record_measurements", weight_kg=68.0, height_cm=170.0)
    await t.tell("prescriber", "record_pregnancy_test", result="negative")
    await t.at(t.day(8, "10:00"), "Medical intake")
    examination = {
        "mental_status": "Depressed mood, no psychosis, oriented.",
        "history": "Recurrent MDD; no exclusions.",
    }
    await t.tell("prescriber", "complete_intake", session_id=session, **examination)
    rules = newest("ketamine_sl")
    assert rules is not None
    criteria = [
        {"criterion": name, "met": "true" if kind == "I" else "false", "source": "clinician"}
        for name, kind in rules.eligibility.criteria.items()
    ]
    decision = {"outcome": "eligible", "criteria": criteria, "rationale": "All inclusions met; no exclusion present."}
    await t.tell("prescriber", "decide_eligibility", **decision, dose_ceiling_mg=200.0)


async def _prescription(t: Teller, *, day: int, sessions: int, fill_day: int, delivery_day: int, number: int) -> None:
    await t.at(t.day(day, "15:00"), f"Prescription for {sessions} sessions")
    if number > 1:
        await t.tell("prescriber", "query_pdmp")
        await t.until("the PDMP's answer", lambda: t.happened("pdmp_queried.v1", number))
        await t.at(t.day(day, "15:05"), f"Prescription for {sessions} sessions")
    draft = {
        "strength_mg": 50.0,
        "quantity": 3 * sessions,
        "sig": "100 mg under the tongue in the session, hold 10 to 12 minutes, then spit; 50 mg booster if told to.",
        "dose_mg": 100.0,
        "booster_mg": 50.0,
        "sessions_authorised": sessions,
        "max_mg_per_session": 150.0,
        "days_supply": 14 * sessions,
    }
    rx = (await t.tell("prescriber", "draft_prescription", draft=draft))["command_id"]
    signature = {"method": "embedded_simulated", "factor_types": ["know", "have"], "certificate_thumbprint": "ab" * 32}
    basis = {"telemedicine_basis": "flexibility_2026", "signature": signature}
    await t.tell("prescriber", "sign_prescription", rx_id=rx, **basis)
    await t.until("the pharmacy's acceptance", lambda: t.happened("prescription_accepted.v1", number))
    key = await t.newest_prescription_key(number)
    await t.at(t.day(fill_day, "11:00"), "The pharmacy fills it")
    best_before = (t.day(fill_day) + timedelta(days=180)).date().isoformat()
    fill = {"lot": f"LOT-{number}", "beyond_use_on": best_before, "quantity": draft["quantity"], "note": "Dispensed"}
    await t.pharmacy("fill", message_id=key, at=t.day(fill_day, "11:00").isoformat(), **fill)
    await t.until("the fill", lambda: t.happened("prescription_filled.v1", number))
    await t.at(t.day(delivery_day, "13:00"), "The parcel arrives")
    arrived = t.day(delivery_day, "13:00").isoformat()
    await t.pharmacy("deliver", message_id=key, at=arrived, signed_by_adult=True)
    await t.until("the delivery", lambda: t.happened("prescription_delivered.v1", number))


async def _preparation(t: Teller) -> None:
    session = await _book(t, "preparation", 15)
    await t.at(t.day(15, "11:00"), "Preparation")
    await t.tell(
        "therapist",
        "complete_preparation",
        session_id=session,
        intentions="To meet grief without turning away.",
        touch_consent=False,
        safety_plan="Stop word, chaperone in the next room, on-call number at hand.",
        transport_plan="At home; no driving until the next day.",
    )


async def _dosing_day(t: Teller, session: str, day: int, number: int) -> None:
    """One dosing day. Dose 2 has the booster; doses 3 to 8 go as dose 1 did."""
    label, boosted = f"Dose {number + 1}", number == 1
    await t.at(t.day(day, "09:00"), f"{label}: the day's checks")
    await t.tell("patient", "attest_location", state="NY", address="12 Elm Street, Albany")
    await t.tell("patient", "reaffirm_consents")
    await t.tell("patient", "submit_gate_form", phq9_item9=0)
    await _submit(t, "C-SSRS screener", NO_SUICIDALITY)
    good = dict.fromkeys(("fasting", "no_alcohol_24h", "no_other_drugs_24h", "medication_as_planned"), True)
    await t.tell("patient", "attest_predose", **good, new_illness_or_medication=False, transport_arranged=True)
    await t.tell("therapist", "record_pregnancy_test", result="negative")
    await t.tell("therapist", "confirm_chaperone_present")
    start = t.day(day, "10:00")

    async def minute(offset: int, what: str = "") -> None:
        await t.at(start + timedelta(minutes=offset), f"{label}: {what or f'+{offset} min'}")

    async def vitals(systolic: int, diastolic: int, heart_rate: int) -> None:
        reading = {"systolic": systolic, "diastolic": diastolic, "heart_rate": heart_rate}
        await t.tell("therapist", "record_vitals", session_id=session, **reading)

    await minute(-12, "vital signs")
    await vitals(122, 78, 74)
    await minute(0, "100 mg")
    await t.tell("therapist", "start_dosing", session_id=session)
    lot = f"LOT-{1 if number < 2 else 2}"
    await t.tell("therapist", "record_dose", session_id=session, mg=100.0, lot=lot, swish_minutes=11)
    post = {120: (130, 84, 76), 160: (126, 80, 72)} if boosted else {120: (128, 82, 76), 145: (124, 80, 72)}
    release = 165 if boosted else 150
    for offset in sorted({*range(15, release, 15), *post}):
        await minute(offset)
        if offset % 15 == 0:
            seen = {"responsive": True, "breathing_normal": True, "distress": 1}
            await t.tell("therapist", "record_check_in", session_id=session, **seen)
        if boosted and offset == 45:
            await vitals(118, 74, 70)
            booster = {"mg": 50.0, "lot": lot, "is_booster": True}
            await t.tell("therapist", "record_dose", session_id=session, **booster)
        if offset in post:
            await vitals(*post[offset])
    await minute(release, "release")
    home = {"oriented": True, "gait_steady": True, "vomiting": False, "new_suicidal_ideation": False}
    tomorrow = t.day(day + 1, "09:00").isoformat()
    await t.tell(
        "therapist", "release_patient", session_id=session, **home, escort_present=True, no_drive_until=tomorrow
    )


async def integration(t: Teller, dosing_session: str, day: int, number: int) -> None:
    """The integration of a dose, with WAI-SR, and the outcome forms on their days."""
    session = await _book(t, "integration", day)
    await t.at(t.day(day, "11:00"), f"Integration {number + 1}")
    await t.tell(
        "therapist",
        "complete_integration",
        session_id=session,
        dosing_session_id=dosing_session,
        themes="Grief, relief, a wish to call her brother.",
        actions="Call him; walk each morning.",
        adverse_events_rechecked=True,
    )
    await _submit(t, "WAI-SR", {"items": wai_sr(WAI_SR_TOTALS[number])})
    if day in PHQ9 and day != 38:
        await _questionnaires(t, day)


async def _follow_up(t: Teller) -> None:
    third = await _book(t, "dosing", DOSING_DAYS[2], remember="third")
    t.check(
        "a third dose before the D38 follow-up is refused FOLLOWUP_DUE",
        await t.refused("FOLLOWUP_DUE", "therapist", "start_dosing", session_id=third),
    )
    await t.tell("coordinator", "cancel_session", session_id=third, reason="Booked too early; booked again below.")
    session = await _book(t, "follow_up", 38, "14:00")
    await t.at(t.day(38, "14:30"), "Medical follow-up")
    await _questionnaires(t, 38)
    await t.tell(
        "prescriber",
        "complete_follow_up",
        session_id=session,
        decision="continue",
        adverse_events_reviewed=True,
        bladder_symptoms=False,
        rationale="Better; no adverse events; continue with six sessions.",
    )


async def _completion(t: Teller) -> None:
    ninth = await _book(t, "dosing", 127, "09:30")
    await t.at(t.day(127, "09:30"), "A ninth dose is refused")
    t.check(
        "a ninth dose is refused NO_DOSES: no authorised session is left",
        await t.refused("NO_DOSES", "therapist", "start_dosing", session_id=ninth),
    )
    await t.tell("therapist", "cancel_session", session_id=ninth, reason="No authorised session is left.")
    await t.at(t.day(127, "10:00"), "Completion")
    await t.tell("prescriber", "complete_course", relapse_plan="Early signs, whom to call, follow-up forms.")


async def _book(t: Teller, kind: str, day: int, clock: str = "10:00", *, remember: str | None = None) -> str:
    minutes = {"intake": 60, "dosing": 180, "follow_up": 30}.get(kind, 60)
    starts_at = t.day(day, clock).isoformat()
    answer = await t.tell("coordinator", "schedule_session", kind=kind, starts_at=starts_at, minutes=minutes)
    session: str = answer["command_id"]
    t.booked[remember or kind] = session
    return session


async def _submit(t: Teller, instrument: str, answers: Json) -> None:
    await t.tell("patient", "submit_questionnaire", instrument=instrument, answers=answers)


async def _questionnaires(t: Teller, day: int) -> None:
    await _submit(t, "PHQ-9", {"items": PHQ9[day]})
    await _submit(t, "GAD-7", {"items": GAD7[day]})


# --- the facts ----------------------------------------------------------------------------------------------------


async def _facts(t: Teller) -> None:
    timeline = (await t.read("auditor", "/timeline"))["entries"]
    series = (await t.read("prescriber", "/outcomes"))["series"]
    first: dict[str, int] = {}
    for event in timeline:
        first.setdefault(event["type"], t.day_of(event["occurred_at"]))
    count = Counter(event["type"] for event in timeline)
    _clock_facts(t, first, count)
    _outcome_facts(t, timeline, series, count)
    await _course_facts(t, count)


def _clock_facts(t: Teller, first: dict[str, int], count: Counter[str]) -> None:
    intake, decided, dosed = (
        first.get(name, -1) for name in ("intake_completed.v1", "eligibility_decided.v1", "dose_taken.v1")
    )
    t.check("SLA-3: the intake was held after 8 days (at most 14)", intake == 8)
    t.check("SLA-4: the decision was made on the day of the intake", decided == intake)
    t.check("SLA-8: the first dose came 14 days after the decision (at most 30)", dosed - decided == 14)
    t.check("no clock was breached", count["sla_breached.v1"] == 0)


def _outcome_facts(t: Teller, timeline: list[Json], series: Json, count: Counter[str]) -> None:
    phq9 = {t.day_of(point["at"]): point["total"] for point in series["PHQ-9"]}
    gad7 = {t.day_of(point["at"]): point["total"] for point in series["GAD-7"]}
    days = {name: [t.day_of(e["occurred_at"]) for e in timeline if e["type"] == name] for name in count}
    fall = phq9[2] - phq9[38]
    t.check(
        "D38: PHQ-9 17 to 12, a fall of 29 %, 5 points",
        (phq9[2], phq9[38], round(100 * fall / phq9[2])) == (17, 12, 29),
    )
    t.check("D38: MBC-1 was not raised", count["not_on_track.v1"] == 0)
    improved = days.get("reliable_improvement_achieved.v1", [])
    t.check("D38: the improvement of PHQ-9 was not yet reliable (5 < 6)", phq9[2] - phq9[38] < 6 and 38 in phq9)
    t.check("D66: PHQ-9 fell by 9, which is reliable", phq9[2] - phq9[66] == 9 and 66 in improved)
    responses = days.get("response_achieved.v1", [])
    t.check("D66: response for the first time (53 %)", responses[:1] == [66])
    t.check("D122: PHQ-9 4 and GAD-7 3, remission in both", (phq9[122], gad7[122]) == (4, 3))
    t.check("D122: remission was recorded twice on that day", days.get("remission_achieved.v1", [])[-1:] == [122])
    totals = [point["total"] for point in series["WAI-SR"]]
    t.check("WAI-SR stayed between 50 and 55", min(totals) >= 50 and max(totals) <= 55)


async def _course_facts(t: Teller, count: Counter[str]) -> None:
    t.check("8 dosing sessions were held and released", count["dosing_released.v1"] == len(DOSING_DAYS))
    t.check("8 doses and one booster were taken", count["dose_taken.v1"] == len(DOSING_DAYS) + 1)
    gaps = {b - a for a, b in pairwise(DOSING_DAYS)}
    t.check("doses lay 14 days apart", gaps == {14})
    state = await t.read("prescriber")
    used = [rx["sessions_used"] for rx in state["state"]["prescriptions"]["all"]]
    t.check("sessions consumed: 2 of the first prescription, 6 of the second", used == [2, 6])
    valid_until = state["state"]["eligibility"]["decision"]["valid_until"]
    t.check("the decision is valid to D188", t.day_of(valid_until) == 188)
    t.check("the course is complete", state["stage"] == "course_complete")
    seen: Any = await t.outside_seen()
    newrx = [one for key, one in seen["pharmacy"].items() if key.endswith(".newrx")]
    t.check("the pharmacy saw two prescriptions, each once", [one["took_effect"] for one in newrx] == [1, 1])
