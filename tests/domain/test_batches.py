"""How much may be prescribed: two sessions, a follow-up, six more (RX-5); and what the pharmacy reports about it."""

from __future__ import annotations

from datetime import date

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.journey.course import CloseJourney
from domain.journey.dispensing import (
    PharmacyAnomalyRecorded,
    PharmacyDeliveryReported,
    PharmacyFillReported,
    PharmacyStatusReceived,
    PrescriptionTransmissionFailed,
)
from domain.journey.prescription import Draft, DraftPrescription, QueryPdmp, RxStatus, SignPrescription
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused, types


def draft(**differing: object) -> DraftPrescription:
    """Draft V1's first batch, but for what differs."""
    return DraftPrescription(draft=Draft.model_validate(dict(stages.FIRST_BATCH) | differing))


@pytest.mark.parametrize(
    ("differing", "code"),
    [
        ({}, None),
        ({"sessions_authorised": 3}, Code.BATCH_TOO_LARGE),
        ({"quantity": 7}, Code.BATCH_TOO_LARGE),
        ({"strength_mg": 100.0, "quantity": 5}, Code.BATCH_TOO_LARGE),
        ({"strength_mg": 100.0, "quantity": 4}, None),
        ({"refills": 1}, Code.EPCS_REFILLS),
        ({"dose_mg": 401.0}, Code.DOSE_LIMIT),
        ({"max_mg_per_session": 151.0}, Code.DOSE_LIMIT),
        ({"max_mg_per_session": 149.0}, Code.DOSE_CEILING),
        ({"dose_mg": 100.0, "booster_mg": 50.5, "max_mg_per_session": 150.0}, Code.DOSE_CEILING),
        ({"dose_mg": 80.0, "booster_mg": 41.0}, Code.DOSE_LIMIT),
        ({"dose_mg": 80.0, "booster_mg": 40.0}, None),
    ],
)
def test_a_first_batch_keeps_to_the_limits(differing: dict[str, object], code: Code | None) -> None:
    """At most 2 sessions, the units they need, no refill, a ceiling of 150 mg, a booster of half the dose."""
    assert code == refused(v1.eligible().do(draft(**differing)))


def test_a_second_batch_waits_for_a_follow_up() -> None:
    """After the first batch is signed, the next draft is refused until the prescriber has seen the patient."""
    story = v1.integrated(2)

    assert Code.FOLLOWUP_DUE == refused(story.do(DraftPrescription(draft=stages.NEXT_BATCH)))

    stages.follow(story, day(38, "15:00"))

    assert refused(story.do(DraftPrescription(draft=stages.NEXT_BATCH))) is None
    assert Code.BATCH_TOO_LARGE == refused(story.do(draft(sessions_authorised=7, quantity=21)))


def test_two_drafts_are_not_two_first_batches() -> None:
    """A draft does not make the next one a second batch; of two drafts only one can be signed without a follow-up."""
    story = v1.eligible()
    story.yes(draft())
    one = story.last_id

    assert Code.BATCH_TOO_LARGE == refused(story.do(DraftPrescription(draft=stages.NEXT_BATCH)))

    story.yes(draft())
    two = story.last_id
    sign = SignPrescription(rx_id=one, telemedicine_basis="flexibility_2026", signature=stages.SIGNATURE)
    story.yes(sign)

    assert Code.FOLLOWUP_DUE == refused(story.do(sign.model_copy(update={"rx_id": two})))


def test_a_course_has_eight_sessions_at_most() -> None:
    """After batches of 2 and 6 no ninth session can be prescribed, follow-up or not."""
    story = v1.integrated(8)
    stages.follow(story, day(126))

    assert Code.BATCH_TOO_LARGE == refused(story.do(draft(sessions_authorised=1, quantity=3)))


def test_a_prescription_that_failed_can_be_written_again() -> None:
    """What the pharmacy rejected was no batch: its replacement needs no follow-up, and is a first batch still."""
    story = v1.eligible()
    stages.prescribe(story)
    key = stages.key_of(story, story.journey.prescriptions.all[0].rx_id)
    story.yes(PharmacyStatusReceived(key=key, code="900", accepted=False))

    assert RxStatus.ERROR is story.journey.prescriptions.all[0].status
    assert "CALL_PHARMACY" in story.tasks()
    assert Code.BATCH_TOO_LARGE == refused(story.do(DraftPrescription(draft=stages.NEXT_BATCH)))
    assert refused(story.do(draft())) is None


def test_drug_at_home_outlives_a_late_error() -> None:
    """An error that arrives after the delivery is an anomaly: the drug is in the house, whatever the message says."""
    story = v1.drug_delivered()
    key = stages.key_of(story, story.journey.prescriptions.all[0].rx_id)
    decision = story.yes(PharmacyStatusReceived(key=key, code="601", accepted=False))

    assert (PharmacyAnomalyRecorded.type,) == types(decision)
    assert RxStatus.DELIVERED is story.journey.prescriptions.all[0].status


def anomalies() -> list[tuple[Story, object]]:
    """Facts that fit nothing: an unknown key, a delivery before a fill, a parcel that nobody signed for."""
    signed = v1.prescribed()
    key = stages.key_of(signed, signed.journey.prescriptions.all[0].rx_id)
    filled = signed.fork()
    filled.yes(PharmacyFillReported(key=key, note="Dispensed", lot="L1", quantity=6))
    return [
        (signed, PharmacyFillReported(key="unknown", note="Dispensed")),
        (signed, PharmacyDeliveryReported(key=key, signed_by_adult=True)),
        (filled, PharmacyDeliveryReported(key=key, signed_by_adult=False)),
        (filled, PharmacyFillReported(key=key, note="Dispensed")),
        (filled, PharmacyStatusReceived(key=key, code="010", accepted=True)),
    ]


@pytest.mark.parametrize("case", range(5))
def test_a_fact_that_fits_nothing_is_kept_and_never_refused(case: int) -> None:
    """D5: it is recorded as an anomaly, and no prescription changes by it."""
    story, fact = anomalies()[case]
    before = story.journey.prescriptions
    assert isinstance(fact, PharmacyFillReported | PharmacyDeliveryReported | PharmacyStatusReceived)
    decision = story.do(fact)

    assert (None, (PharmacyAnomalyRecorded.type,)) == (refused(decision), types(decision))
    assert before == story.journey.prescriptions


def test_a_fact_is_taken_after_the_journey_has_closed() -> None:
    """A pharmacy may report late: also a closed journey records it."""
    story = v1.completed()
    story.yes(CloseJourney(reason="Done"), Role.COORDINATOR)
    key = stages.key_of(story, story.journey.prescriptions.all[0].rx_id)
    decision = story.do(PharmacyDeliveryReported(key=key, signed_by_adult=True))

    assert (PharmacyAnomalyRecorded.type,) == types(decision)


def test_a_refusal_by_the_pharmacy_sends_a_person_to_the_telephone() -> None:
    """Before acceptance an error fails the transmission and somebody owes a call; not filled is no drug either."""
    story = v1.eligible()
    story.yes(QueryPdmp())
    stages.prescribe(story)
    key = stages.key_of(story, story.journey.prescriptions.all[0].rx_id)
    not_filled = story.fork()
    decision = story.yes(PharmacyStatusReceived(key=key, code="900", accepted=False))
    not_filled.yes(PharmacyFillReported(key=key, note="NotDispensed"))

    assert (PrescriptionTransmissionFailed.type,) == types(decision)
    assert RxStatus.NOT_FILLED is not_filled.journey.prescriptions.all[0].status
    assert "CALL_PHARMACY" in story.tasks()
    assert "CALL_PHARMACY" in not_filled.tasks()


@pytest.mark.parametrize(("on", "usable"), [(date(2026, 7, 13), True), (date(2026, 7, 14), False)])
def test_a_prescription_ends_after_six_months_whatever_its_drug_is_good_for(on: date, usable: bool) -> None:
    """Issued on 13 January, it is dosed from up to 13 July, also when the drug would be good for longer."""
    story = v1.drug_delivered()
    here = story.journey.prescriptions
    here = here.replace(here.all[0].rx_id, beyond_use_on=date(2027, 1, 1))

    assert usable == (here.usable(on) is not None)
