"""What is owed to the outside: the table of effects, and that each is settled once (D17, ``owes``)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.codes import Code
from domain.effects import (
    EffectRejected,
    EffectResult,
    MessageTemplate,
    SendMessage,
    TransmitPrescription,
    WriteEhrRecords,
    journey_of,
)
from domain.envelope import Role
from domain.journey.dispensing import (
    PharmacyStatusReceived,
    PrescriptionTransmissionFailed,
    PrescriptionTransmitted,
)
from domain.journey.messages import Effect, IfLate
from domain.journey.outbox import (
    EffectMissed,
    EffectRefused,
    EffectSettled,
    EhrRecordsWritten,
    ExpireEffect,
    MessageSent,
    RecordEffect,
    SettleRejection,
)
from domain.journey.prescription import DraftPrescription, PdmpQueried, QueryPdmp, SignPrescription
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from domain.journey.scheduling import CancelSession, RecordNoShow, SessionKind
from tests.domain import stages, v1
from tests.domain.kit import Story, day, good_outcome, refused, types


def contents(effect: Effect) -> str:
    """What an effect asks for, in a word or two."""
    request = effect.request
    match request:
        case WriteEhrRecords(entries=entries):
            return " ".join(getattr(entry, "status", entry.kind) for entry in entries)
        case SendMessage(template=template):
            return str(template)
        case _:
            return request.kind


def owed_after(story: Story, happen: Callable[[Story], object]) -> list[tuple[str, str]]:
    """Lane and contents of everything that is owed since then."""
    before = {effect.key for effect in story.journey.outbox.owed} if story.state.version else set()
    happen(story)
    owed = [effect for effect in story.journey.outbox.owed if effect.key not in before]
    assert all(story.state.journey_id == journey_of(effect.key) for effect in owed)
    return [(effect.lane.split("/")[0], contents(effect)) for effect in owed]


def cancel(story: Story) -> None:
    """Cancel the dose that is booked."""
    story.yes(CancelSession(session_id=v1.dosing_session(story), reason="Flu"), Role.PATIENT)


def miss(story: Story) -> None:
    """Do not come to the dose that is booked."""
    story.at(day(22, "11:00")).yes(RecordNoShow(session_id=v1.dosing_session(story)), Role.THERAPIST)


def sign(story: Story) -> None:
    """Draft and sign, and answer nothing."""
    story.yes(DraftPrescription(draft=stages.FIRST_BATCH))
    command = SignPrescription(rx_id=story.last_id, telemedicine_basis="flexibility_2026", signature=stages.SIGNATURE)
    story.yes(command)


TABLE: dict[str, tuple[Callable[[], Story], Callable[[Story], object], list[tuple[str, str]]]] = {
    "referral": (Story, lambda s: s.yes(stages.REFERRAL, Role.THERAPIST), [("ehr", "patient active")]),
    "score": (v1.opened, lambda s: s.yes(stages.form("PHQ-2", 1, 1), Role.THERAPIST), [("ehr", "score")]),
    "no total": (v1.opened, lambda s: s.yes(stages.screener(), Role.THERAPIST), []),
    "pdmp": (v1.opened, lambda s: s.yes(QueryPdmp()), [("pdmp", "query_pdmp")]),
    "booking": (
        v1.onboarded,
        lambda s: s.book(SessionKind.INTAKE, day(8)),
        [("ehr", "booked"), ("reminder", "session_reminder")],
    ),
    "cancellation": (v1.prepared, cancel, [("ehr", "cancelled")]),
    "no-show": (v1.prepared, miss, [("ehr", "noshow")]),
    "signature": (v1.eligible, sign, [("rx", "transmit_prescription"), ("ehr", "active")]),
}


@pytest.mark.parametrize("row", TABLE)
def test_an_event_owes_its_effects(row: str) -> None:
    """Each row of the table: these lanes, these contents, nothing else."""
    given, happen, owed = TABLE[row]

    assert owed == owed_after(given(), happen)


def test_what_happened_in_a_session_goes_to_the_ehr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intake: readings and appointment; dosing: appointment, doses and readings; the others: the appointment."""
    told: list[str] = []
    answer = Story.outside

    def listen(story: Story) -> Story:
        told.extend(contents(effect) for effect in story.journey.outbox.owed if effect.lane == "ehr")
        return answer(story)

    monkeypatch.setattr(Story, "outside", listen)
    new, ready = v1.onboarded(), v1.ready_to_dose(2)
    stages.hold_intake(new)
    stages.take_dose(ready, v1.dosing_session(ready), booster=True)
    ended = len(told)
    stages.integrate(ready, v1.dosing_session(ready), day(38))
    stages.follow(ready, day(38, "15:00"))

    assert "vitals vitals fulfilled" in told
    assert "fulfilled dose dose vitals vitals vitals" in told
    assert 2 == told[ended:].count("fulfilled")


def test_the_invitation_goes_out_when_the_referral_is_accepted() -> None:
    """The patient is asked to the portal by a template that names nothing."""
    story = Story().at(day(0))
    story.yes(stages.REFERRAL, Role.THERAPIST)
    story.yes(AcknowledgeReferral())
    owed = owed_after(story, lambda s: s.yes(AcceptReferral()))

    assert [("message", MessageTemplate.PORTAL_INVITATION)] == owed


def test_a_new_prescription_says_all_a_pharmacy_needs() -> None:
    """Drug, strength, quantity, directions, no refill, the prescriber's numbers, the patient's name and address."""
    story = v1.eligible()
    sign(story)
    (request,) = [e.request for e in story.journey.outbox.owed if isinstance(e.request, TransmitPrescription)]

    assert ("6130", 50, 6, 0) == (request.rxnorm, request.strength_mg, request.quantity, request.refills)
    assert (stages.PRESCRIBER.npi, stages.PRESCRIBER.dea) == (request.prescriber_npi, request.prescriber_dea)
    assert (stages.PATIENT.name, stages.PATIENT.address) == (request.patient_name, request.patient_address)
    assert "Corner Compounding" == request.pharmacy


def reminder(story: Story) -> Effect:
    """The reminder of the booked dose."""
    (found,) = [effect for effect in story.journey.outbox.owed if effect.lane.startswith("reminder/")]
    return found


def test_a_reminder_goes_out_a_day_before_and_never_late() -> None:
    """Due 24 hours before; worthless from the start on, then recorded as missed; booked late it is due at once."""
    story = v1.prepared()
    one = reminder(story)
    late = v1.drug_delivered()
    late.book(SessionKind.PREPARATION, late.now + timedelta(hours=3))

    assert (day(21), day(22), IfLate.MISS) == (one.due_at, one.expires_at, one.if_late)
    assert late.now == reminder(late).due_at

    decision = story.at(day(22)).yes(ExpireEffect(key=one.key))

    assert (EffectMissed.type,) == types(decision)
    assert story.journey.outbox.find(one.key) is None
    assert () == types(story.yes(ExpireEffect(key=one.key)))


@pytest.mark.parametrize("happen", [cancel, miss])
def test_nobody_is_reminded_of_what_will_not_be(happen: Callable[[Story], None]) -> None:
    """A cancelled or missed session's reminder is dropped; an answer to it that comes later changes nothing."""
    story = v1.prepared()
    one = reminder(story)
    happen(story)

    assert not [effect for effect in story.journey.outbox.owed if effect.lane == one.lane]
    assert () == types(story.yes(RecordEffect(result=EffectResult(key=one.key, outcome=good_outcome(one)))))


ANSWERS: dict[str, tuple[Callable[[], Story], Callable[[Story], object], tuple[str, ...]]] = {
    "ehr": (v1.opened, lambda s: s.yes(stages.form("PHQ-2", 1, 1), Role.THERAPIST), (EhrRecordsWritten.type,)),
    "reminder": (v1.drug_delivered, lambda s: s.book(SessionKind.PREPARATION, day(13)), (MessageSent.type,)),
    "pdmp": (v1.opened, lambda s: s.yes(QueryPdmp()), (PdmpQueried.type, EffectSettled.type)),
    "rx": (v1.eligible, sign, (PrescriptionTransmitted.type, EffectSettled.type)),
}


@pytest.mark.parametrize("lane", ANSWERS)
def test_an_answer_settles_an_effect_once(lane: str) -> None:
    """The answer is an event and the effect is gone; a second answer, good or bad, changes nothing."""
    given, happen, settled = ANSWERS[lane]
    story = given()
    happen(story)
    effect = next(e for e in story.journey.outbox.owed if e.lane.split("/")[0] == lane)
    answer = RecordEffect(result=EffectResult(key=effect.key, outcome=good_outcome(effect)))
    refusal = RecordEffect(result=EffectResult(key=effect.key, outcome=EffectRejected(code="500")))

    assert settled == types(story.yes(answer))
    assert story.journey.outbox.find(effect.key) is None

    before = story.state

    assert ((), ()) == (types(story.yes(answer)), types(story.yes(refusal)))
    assert before == story.state


def test_a_rejection_is_a_persons_work() -> None:
    """What the outside rejected for good is owed no more by us and by a coordinator instead, until they settle it."""
    story = v1.eligible()
    sign(story)
    effect = next(e for e in story.journey.outbox.owed if e.lane.startswith("rx/"))
    decision = story.yes(RecordEffect(result=EffectResult(key=effect.key, outcome=EffectRejected(code="900"))))

    assert (PrescriptionTransmissionFailed.type, EffectRefused.type) == types(decision)
    assert Role.COORDINATOR is story.tasks()["OUTSIDE_REJECTED"].owner
    assert Code.NOT_FOUND == refused(story.do(SettleRejection(key="other", note="?"), Role.COORDINATOR))

    story.yes(SettleRejection(key=effect.key, note="Telephoned"), Role.COORDINATOR)

    assert "OUTSIDE_REJECTED" not in story.tasks()


def test_a_pharmacy_message_that_fits_nothing_waits_for_a_person() -> None:
    """An anomaly is a task of the coordinator's until somebody says that it was dealt with."""
    story = v1.opened()
    stray = f"{story.state.journey_id}.99.newrx"
    story.yes(PharmacyStatusReceived(key=stray, code="010", accepted=True))

    task = story.tasks()["OUTSIDE_REJECTED"]
    assert (f"rejected/{stray}", Role.COORDINATOR) == (task.key, task.owner)

    story.yes(SettleRejection(key=stray, note="Not ours; the pharmacy was told."), Role.COORDINATOR)

    assert "OUTSIDE_REJECTED" not in story.tasks()
