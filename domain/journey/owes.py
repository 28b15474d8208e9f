"""Which event owes the outside what: the one table of effects, and how their requests are made from the state.

Requests are complete when they are made, so that an effect is sent as it was meant, whatever happens meanwhile.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from domain.effects import (
    EffectRequest,
    EhrAppointment,
    EhrDose,
    EhrEntry,
    EhrMedicationRequest,
    EhrPatient,
    EhrReferral,
    EhrScore,
    EhrVitals,
    MessageTemplate,
    QueryPdmp,
    SendMessage,
    TransmitPrescription,
    WriteEhrRecords,
    effect_key,
)
from domain.journey.assessment import ScoreComputed, loinc_of
from domain.journey.dispensing import PharmacyAnomalyRecorded
from domain.journey.eligibility import IntakeCompleted
from domain.journey.follow_up import FollowUpCompleted
from domain.journey.messages import Effect, Event, IfLate, Stamp
from domain.journey.observations import Reading
from domain.journey.outbox import Rejected
from domain.journey.prescription import NEW_RX, PdmpRequested, PrescriptionSigned
from domain.journey.referral import ReferralAccepted, ReferralSubmitted
from domain.journey.release import DosingReleased
from domain.journey.scheduling import NoShowRecorded, Session, SessionCancelled, SessionScheduled
from domain.journey.therapy import IntegrationCompleted, PreparationCompleted
from domain.protocols import Protocol

if TYPE_CHECKING:
    from domain.journey.state import Journey

EHR_LANE = "ehr"


def enqueue(journey: Journey, event: Event, stamp: Stamp, policy: Protocol) -> Journey:
    """The journey, owing what this event makes it owe."""
    owed = list(journey.outbox.owed)
    if isinstance(event, SessionCancelled | NoShowRecorded):
        reminder = f"reminder/{event.session_id}"
        owed = [effect for effect in owed if effect.lane != reminder]
    owed += _owed_by(journey, event, stamp, policy)
    if isinstance(event, PharmacyAnomalyRecorded):
        journey = _looked_at_by_a_person(journey, event, stamp)
    return journey.model_copy(update={"outbox": journey.outbox.model_copy(update={"owed": tuple(owed)})})


def _looked_at_by_a_person(journey: Journey, event: PharmacyAnomalyRecorded, stamp: Stamp) -> Journey:
    """What fits nothing must not be filed and forgotten: it waits beside what outside systems rejected."""
    seen = Rejected(key=event.key, code=event.message, at=stamp.recorded_at)
    others = tuple(one for one in journey.outbox.rejected if one.key != event.key)
    return journey.model_copy(update={"outbox": journey.outbox.model_copy(update={"rejected": (*others, seen)})})


def _owed_by(journey: Journey, event: Event, stamp: Stamp, policy: Protocol) -> list[Effect]:
    """The table: which event owes which effects."""
    match event:
        case ReferralSubmitted():
            return [_ehr(journey, stamp, _patient(journey), _referral(journey))]
        case ReferralAccepted():
            return [_message(journey, stamp, MessageTemplate.PORTAL_INVITATION, lane="message")]
        case ScoreComputed(score=score) if score.total is not None:
            entry = EhrScore(
                instrument=score.instrument,
                loinc=loinc_of(score.instrument),
                total=score.total,
                effective_at=stamp.occurred_at,
            )
            return [_ehr(journey, stamp, entry)]
        case PdmpRequested():
            return [_effect(journey, stamp, "pdmp", _pdmp(journey, stamp), lane="pdmp")]
        case IntakeCompleted(session_id=session_id):
            day = timedelta(days=1)
            readings = journey.observations.within(stamp.occurred_at - day, day)
            return [_ehr(journey, stamp, *map(_vitals, readings), _appointment(journey, session_id))]
        case SessionScheduled(session_id=session_id):
            return [_ehr(journey, stamp, _appointment(journey, session_id)), _reminder(journey, event, stamp, policy)]
        case SessionCancelled(session_id=session_id) | NoShowRecorded(session_id=session_id):
            return [_ehr(journey, stamp, _appointment(journey, session_id))]
        case (
            PreparationCompleted(session_id=session_id)
            | IntegrationCompleted(session_id=session_id)
            | FollowUpCompleted(session_id=session_id)
        ):
            return [_ehr(journey, stamp, _appointment(journey, session_id))]
        case PrescriptionSigned():
            return [
                _effect(journey, stamp, NEW_RX, _new_rx(journey, event, stamp, policy), lane=f"rx/{event.rx_id}"),
                _ehr(journey, stamp, _medication_request(journey, event, policy)),
            ]
        case DosingReleased(session_id=session_id):
            return [_ehr(journey, stamp, *_dosing_day(journey, session_id, policy))]
        case _:
            return []


def _effect(journey: Journey, stamp: Stamp, name: str, request: EffectRequest, *, lane: str) -> Effect:
    key = effect_key(journey.journey_id, stamp.sequence, name)
    return Effect(key=key, lane=lane, due_at=stamp.recorded_at, request=request)


def _ehr(journey: Journey, stamp: Stamp, *entries: EhrEntry) -> Effect:
    # One lane for all: the EHR must know the patient before it hears about them.
    request = WriteEhrRecords(patient_id=journey.patient_id, entries=entries)
    return _effect(journey, stamp, "ehr", request, lane=EHR_LANE)


def _message(journey: Journey, stamp: Stamp, template: MessageTemplate, *, lane: str) -> Effect:
    key = effect_key(journey.journey_id, stamp.sequence, "message")
    request = SendMessage(template=template, to=journey.patient.email, reference=key)
    return _effect(journey, stamp, "message", request, lane=lane)


def _reminder(journey: Journey, event: SessionScheduled, stamp: Stamp, policy: Protocol) -> Effect:
    """A reminder is worthless after the session began, so it is then recorded as missed and not sent."""
    due_at = event.starts_at - timedelta(hours=policy.clocks.reminder_hours_before)
    lane = f"reminder/{event.session_id}"
    message = _message(journey, stamp, MessageTemplate.SESSION_REMINDER, lane=lane)
    when = {"due_at": max(due_at, stamp.recorded_at), "expires_at": event.starts_at, "if_late": IfLate.MISS}
    return message.model_copy(update=when)


def _patient(journey: Journey) -> EhrPatient:
    return EhrPatient(**journey.patient.model_dump(exclude={"time_zone", "subject"}))


def _referral(journey: Journey) -> EhrReferral:
    return EhrReferral(
        requester=journey.care_team.therapist.subject,
        reason_icd10=journey.referral.diagnosis_icd10,
        authored_at=journey.referral.submitted_at,
    )


def _vitals(reading: Reading) -> EhrVitals:
    return EhrVitals(
        **reading.model_dump(include={"systolic", "diastolic", "heart_rate", "oxygen_saturation"}),
        effective_at=reading.taken_at,
    )


_APPOINTMENT_STATUS = {
    "scheduled": "booked",
    "completed": "fulfilled",
    "cancelled": "cancelled",
    "no_show": "noshow",
}


def _appointment(journey: Journey, session_id: UUID) -> EhrAppointment:
    session = journey.sessions.find(session_id)
    assert isinstance(session, Session)
    return EhrAppointment.model_validate(
        {
            **session.model_dump(include={"session_id", "starts_at", "ends_at", "practitioner"}),
            "session_kind": str(session.kind),
            "status": _APPOINTMENT_STATUS[session.status],
        }
    )


def _pdmp(journey: Journey, stamp: Stamp) -> QueryPdmp:
    prescriber = journey.care_team.prescriber
    assert prescriber is not None
    return QueryPdmp(
        patient_name=journey.patient.name,
        patient_birth_date=journey.patient.birth_date,
        patient_address=journey.patient.address,
        states=(journey.patient.address.state,),
        requester_npi=prescriber.npi,
        requested_at=stamp.occurred_at,
    )


def _new_rx(journey: Journey, event: PrescriptionSigned, stamp: Stamp, policy: Protocol) -> TransmitPrescription:
    rx = journey.prescriptions.find(event.rx_id)
    assert rx is not None
    return TransmitPrescription(
        rx_id=event.rx_id,
        pharmacy=journey.onboarding.pharmacy or "unknown",
        patient_name=journey.patient.name,
        patient_birth_date=journey.patient.birth_date,
        patient_address=journey.patient.address,
        prescriber_npi=event.npi,
        prescriber_dea=event.dea,
        rxnorm=policy.substance.rxnorm,
        drug=policy.substance.name,
        form=policy.substance.form,
        strength_mg=rx.draft.strength_mg,
        quantity=rx.draft.quantity,
        sig=rx.draft.sig,
        refills=rx.draft.refills,
        days_supply=rx.draft.days_supply,
        written_at=stamp.occurred_at,
    )


def _medication_request(journey: Journey, event: PrescriptionSigned, policy: Protocol) -> EhrMedicationRequest:
    rx = journey.prescriptions.find(event.rx_id)
    assert rx is not None
    return EhrMedicationRequest(
        rx_id=event.rx_id,
        status="active",
        rxnorm=policy.substance.rxnorm,
        route_snomed=policy.substance.route_snomed,
        dose_mg=rx.draft.dose_mg,
        quantity=rx.draft.quantity,
        sig=rx.draft.sig,
        authored_on=event.issued_on,
        valid_until=event.expires_on,
        requester=event.signed_by,
    )


def _dosing_day(journey: Journey, session_id: UUID, policy: Protocol) -> tuple[EhrEntry, ...]:
    record = journey.dosing.find(session_id)
    assert record is not None
    doses = tuple(
        EhrDose(
            rx_id=record.rx_id,
            mg=line.mg,
            route_snomed=policy.substance.route_snomed,
            rxnorm=policy.substance.rxnorm,
            started_at=line.at,
        )
        for line in record.lines
    )
    readings = [reading for reading in journey.observations.readings if reading.session_id == session_id]
    return (_appointment(journey, session_id), *doses, *map(_vitals, readings))
