"""INV-14: a prescription is signed by its registrant, with two factors, on a fresh PDMP answer and a legal basis."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.codes import Code
from domain.envelope import Actor, Role
from domain.journey.eligibility import Outcome
from domain.journey.holds import CODES, HoldKind, PlaceHold
from domain.journey.prescription import (
    DraftPrescription,
    PrescriptionSigned,
    QueryPdmp,
    Signature,
    SignPrescription,
)
from domain.journey.referral import AssignPrescriber
from tests.domain import stages, v1
from tests.domain.kit import Story, day, moment, refused

ONE_FACTOR = stages.SIGNATURE.model_copy(update={"factor_types": ("know", "know")})
CERTIFIED = stages.SIGNATURE.model_copy(update={"method": "certified_application"})


def drafted() -> tuple[Story, UUID]:
    """D8: the first batch is drafted."""
    story = v1.eligible()
    story.yes(DraftPrescription(draft=stages.FIRST_BATCH))
    return story, story.last_id


def signing(rx_id: UUID, signature: Signature = stages.SIGNATURE, **rest: object) -> SignPrescription:
    """Sign under this year's flexibility unless told otherwise."""
    usual = {"rx_id": rx_id, "telemedicine_basis": "flexibility_2026", "signature": signature}
    return SignPrescription.model_validate(usual | rest)


def test_a_signed_prescription_keeps_what_it_rests_on() -> None:
    """Signer, numbers, the date, the six months, the decision and the PDMP query are in the event."""
    story, rx_id = drafted()
    story.yes(signing(rx_id))
    signed = story.events(PrescriptionSigned)[0]

    assert (stages.PRESCRIBER.npi, stages.PRESCRIBER.dea) == (signed.npi, signed.dea)
    assert (date(2026, 1, 13), date(2026, 7, 13)) == (signed.issued_on, signed.expires_on)
    assert "pdmp-1" == signed.pdmp_query_id


@pytest.mark.parametrize(("signature", "code"), [(ONE_FACTOR, Code.EPCS_TWO_FACTOR), (stages.SIGNATURE, None)])
def test_two_different_factors_sign(signature: Signature, code: Code | None) -> None:
    """One factor used twice is one factor."""
    story, rx_id = drafted()

    assert code == refused(story.do(signing(rx_id, signature)))


@pytest.mark.parametrize(
    ("simulated", "signature", "code"),
    [
        (True, stages.SIGNATURE, None),
        (False, stages.SIGNATURE, Code.EPCS_EMBEDDED_SIGNER),
        (True, CERTIFIED, Code.EPCS_CERTIFICATION),
        (False, CERTIFIED, Code.EPCS_CERTIFICATION),
    ],
)
def test_nothing_real_is_signed(simulated: bool, signature: Signature, code: Code | None) -> None:
    """The embedded signer signs in simulated mode only; that an application is certified is nowhere verified yet."""
    story, rx_id = drafted()
    story.simulated = simulated

    assert code == refused(story.do(signing(rx_id, signature)))


@pytest.mark.parametrize("kind", list(HoldKind))
def test_no_drug_goes_out_under_a_hold(kind: HoldKind) -> None:
    """A medical or a safety hold stops drafting and signing by its own code; the others stop neither."""
    code = CODES[kind] if kind in {HoldKind.MEDICAL, HoldKind.SAFETY} else None
    story, rx_id = drafted()
    story.yes(PlaceHold(hold=kind, reason="Look first"), Role.THERAPIST)

    assert code == refused(story.do(DraftPrescription(draft=stages.FIRST_BATCH)))
    assert code == refused(story.do(signing(rx_id)))


def test_only_the_registrant_who_drafted_it_signs() -> None:
    """After another prescriber has taken over, neither of the two can sign the old draft."""
    story, rx_id = drafted()
    other = stages.PRESCRIBER.model_copy(update={"subject": "another"})
    story.yes(AssignPrescriber(prescriber=other))

    assert Code.NOT_A_PARTICIPANT == refused(story.do(signing(rx_id)))
    assert Code.EPCS_SIGNER == refused(story.do(signing(rx_id), Actor(subject="another", role=Role.PRESCRIBER)))


@pytest.mark.parametrize(("hours", "code"), [(24, None), (24.01, Code.EPCS_PDMP)])
def test_a_pdmp_answer_is_good_for_a_day(hours: float, code: Code | None) -> None:
    """24 hours after the answer is still in time; a minute more is not."""
    story, rx_id = drafted()
    answered = story.journey.prescriptions.pdmp
    assert answered is not None
    story.at(answered.at + timedelta(hours=hours))

    assert code == refused(story.do(signing(rx_id)))


def test_a_stale_pdmp_answer_is_not_refreshed_by_an_earlier_date() -> None:
    """A signature dated this morning, when the answer was fresh, is refused now that it is not."""
    story, rx_id = drafted()
    story.at(day(9, "16:00"))

    assert Code.EPCS_PDMP == refused(story.do(signing(rx_id), occurred_at=day(9, "12:00")))


def test_a_prescription_is_dated_on_the_day_it_is_signed() -> None:
    """21 CFR 1306.05: yesterday's date is refused, and so is a date of before the PDMP answered."""
    story, rx_id = drafted()

    assert Code.EPCS_PDMP == refused(story.do(signing(rx_id), occurred_at=day(8, "13:00")))

    story.at(day(9, "09:00"))

    assert Code.EPCS_DATE == refused(story.do(signing(rx_id), occurred_at=day(8, "16:30")))


def on_new_years_eve(zone: str, now: datetime) -> tuple[Story, SignPrescription]:
    """A journey near the end of 2026 with a fresh PDMP answer and a draft, its prescriber registered in ``zone``."""
    story = v1.eligible()
    story.yes(AssignPrescriber(prescriber=stages.PRESCRIBER.model_copy(update={"time_zone": zone})))
    story.at(moment("2026-12-31T12:00"))
    story.yes(stages.vitals(), Role.PATIENT)
    story.yes(stages.verdict(Outcome.ELIGIBLE))
    story.yes(QueryPdmp())
    story.outside()
    story.yes(DraftPrescription(draft=stages.FIRST_BATCH))
    command = signing(story.last_id)
    story.at(now)
    return story, command


@pytest.mark.parametrize(
    ("zone", "clock", "code"),
    [
        ("America/New_York", "2026-12-31T23:59", None),
        ("America/New_York", "2027-01-01T00:01", Code.TELEMED_BASIS),
        ("America/Los_Angeles", "2026-12-31T23:59", None),
        ("America/Los_Angeles", "2027-01-01T00:01", Code.TELEMED_BASIS),
        ("Pacific/Honolulu", "2026-12-31T23:59", None),
    ],
)
def test_the_flexibility_ends_with_2026_where_the_prescriber_is_registered(
    zone: str, clock: str, code: Code | None
) -> None:
    """One minute before midnight there it is lawful, one minute after it is not, whatever the date elsewhere."""
    story, command = on_new_years_eve(zone, moment(clock, ZoneInfo(zone)))

    assert code == refused(story.do(command))


@pytest.mark.parametrize(
    ("evaluated", "code"),
    [
        (date(2026, 12, 30), None),
        (date(2027, 1, 1), None),
        (date(2027, 1, 2), Code.TELEMED_BASIS),
        (None, Code.TELEMED_BASIS),
    ],
)
def test_after_it_an_evaluation_in_person_is_needed(evaluated: date | None, code: Code | None) -> None:
    """In 2027 an in-person evaluation up to that day makes it lawful; one without a date, or ahead, does not."""
    story, command = on_new_years_eve("America/New_York", moment("2027-01-01T00:01"))
    in_person = {"telemedicine_basis": "in_person", "in_person_evaluation_on": evaluated}

    assert code == refused(story.do(command.model_copy(update=in_person)))


def test_a_basis_must_be_one_of_the_protocols() -> None:
    """A made-up legal basis is none."""
    story, rx_id = drafted()

    assert Code.TELEMED_BASIS == refused(story.do(signing(rx_id, telemedicine_basis="trust_me")))


def test_six_months_end_on_a_day_that_exists() -> None:
    """Issued on 31 August, it expires on 28 February."""
    story = v1.eligible()
    story.at(moment("2026-08-31T12:00"))
    story.yes(stages.vitals(), Role.PATIENT)
    story.yes(stages.verdict(Outcome.ELIGIBLE))
    story.yes(QueryPdmp())
    story.outside()
    stages.prescribe(story)

    assert date(2027, 2, 28) == story.events(PrescriptionSigned)[0].expires_on


def test_a_prescription_is_signed_once() -> None:
    """A signed prescription cannot be signed again, and an unknown one not at all."""
    story, rx_id = drafted()
    story.yes(signing(rx_id))

    assert Code.ALREADY_DONE == refused(story.do(signing(rx_id)))
    assert Code.NOT_FOUND == refused(story.do(signing(UUID(int=0))))


def test_a_signature_needs_a_decision_in_force() -> None:
    """A draft made under a decision that has ended since cannot be signed."""
    story, rx_id = drafted()
    story.at(day(189))
    story.yes(QueryPdmp())
    story.outside()

    assert Code.NO_ACTIVE_ELIGIBILITY == refused(story.do(signing(rx_id)))
