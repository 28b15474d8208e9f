"""What a journey may owe the outside world, and what may come of it.

An effect is a request with a key. The key is its idempotency key everywhere: derived from the event that caused it,
opaque, safe in a URL. Each kind of request names the lane it queues in; one is in flight per lane (architecture D17).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias
from uuid import UUID, uuid5

from pydantic import Field

from domain.values import NAMESPACE, Instant, ShortText, StateCode, Value


def effect_key(journey_id: UUID, sequence: int, name: str) -> str:
    """``<journey uuid>.<sequence of the causing event>.<name>``: unique, opaque, found again by a webhook."""
    return f"{journey_id}.{sequence}.{name}"


def journey_of(key: str) -> UUID:
    """The journey that an effect key belongs to. Raises ValueError when it is no effect key."""
    return UUID(key.split(".", 1)[0])


def resource_id(key: str, *parts: str) -> UUID:
    """A stable id for something an effect creates outside, so that doing it twice names the same thing."""
    return uuid5(NAMESPACE, "/".join((key, *parts)))


# --- the EHR: facts in our words; the adapter speaks FHIR R4 -----------------------------------------------------


class Address(Value):
    line: ShortText
    city: ShortText
    state: StateCode
    postal_code: str = Field(pattern=r"^[0-9]{5}(-[0-9]{4})?$")


class PersonName(Value):
    given: ShortText
    family: ShortText


class EhrPatient(Value):
    kind: Literal["patient"] = "patient"
    name: PersonName
    birth_date: date
    sex: Literal["female", "male"]
    email: ShortText
    phone: ShortText
    address: Address


class EhrReferral(Value):
    """FHIR ServiceRequest (domain.md §7)."""

    kind: Literal["referral"] = "referral"
    requester: ShortText
    reason_icd10: ShortText
    authored_at: Instant
    status: Literal["active", "completed", "revoked"] = "active"


class EhrScore(Value):
    """FHIR Observation of category survey: a total by its LOINC code (domain.md §4)."""

    kind: Literal["score"] = "score"
    instrument: ShortText
    loinc: str | None = None
    total: float
    unit: ShortText = "{score}"
    effective_at: Instant


class EhrVitals(Value):
    """FHIR Observations: blood pressure panel 85354-9 and heart rate 8867-4; mmHg and beats per minute."""

    kind: Literal["vitals"] = "vitals"
    systolic: int
    diastolic: int
    heart_rate: int
    oxygen_saturation: int | None = None
    effective_at: Instant


class EhrMedicationRequest(Value):
    """FHIR MedicationRequest for ketamine, RxNorm 6130 (domain.md §7)."""

    kind: Literal["medication_request"] = "medication_request"
    rx_id: UUID
    status: Literal["active", "completed", "cancelled"]
    rxnorm: ShortText
    route_snomed: ShortText
    dose_mg: float
    quantity: int
    sig: ShortText
    authored_on: date
    valid_until: date
    requester: ShortText


class EhrDose(Value):
    """FHIR MedicationAdministration, one per dose line."""

    kind: Literal["dose"] = "dose"
    rx_id: UUID
    mg: float
    route_snomed: ShortText
    rxnorm: ShortText
    started_at: Instant


class EhrAppointment(Value):
    """FHIR Appointment."""

    kind: Literal["appointment"] = "appointment"
    session_id: UUID
    session_kind: ShortText
    status: Literal["booked", "fulfilled", "cancelled", "noshow"]
    starts_at: Instant
    ends_at: Instant
    practitioner: ShortText


EhrEntry: TypeAlias = Annotated[
    EhrPatient | EhrReferral | EhrScore | EhrVitals | EhrMedicationRequest | EhrDose | EhrAppointment,
    Field(discriminator="kind"),
]


# --- requests ---------------------------------------------------------------------------------------------------


class WriteEhrRecords(Value):
    """Write these to the EHR as one transaction. The EHR knows the patient by ``patient_id`` alone."""

    kind: Literal["write_ehr_records"] = "write_ehr_records"
    patient_id: UUID
    entries: tuple[EhrEntry, ...] = Field(min_length=1)


class TransmitPrescription(Value):
    """NewRx (NCPDP SCRIPT-style, domain.md §3.3)."""

    kind: Literal["transmit_prescription"] = "transmit_prescription"
    rx_id: UUID
    pharmacy: ShortText
    patient_name: PersonName
    patient_birth_date: date
    patient_address: Address
    prescriber_npi: ShortText
    prescriber_dea: ShortText
    rxnorm: ShortText
    drug: ShortText
    form: ShortText
    strength_mg: float
    quantity: int
    sig: ShortText
    refills: int
    days_supply: int
    written_at: Instant


class QueryPdmp(Value):
    """Prescription-drug monitoring query (HL7 US PDMP FHIR IG, ``$pdmp-history``)."""

    kind: Literal["query_pdmp"] = "query_pdmp"
    patient_name: PersonName
    patient_birth_date: date
    patient_address: Address
    states: tuple[StateCode, ...]
    requester_npi: ShortText
    requested_at: Instant


class MessageTemplate(StrEnum):
    """What a patient may be told by mail. No template holds PHI (domain.md §8.2.10)."""

    PORTAL_INVITATION = "portal_invitation"
    SESSION_REMINDER = "session_reminder"
    QUESTIONNAIRE_REMINDER = "questionnaire_reminder"
    NEW_MESSAGE = "new_message"


class SendMessage(Value):
    kind: Literal["send_message"] = "send_message"
    template: MessageTemplate
    to: ShortText
    reference: ShortText


class PageOnCall(Value):
    """Wake the clinician on call. Says that a journey needs them now, never why."""

    kind: Literal["page_on_call"] = "page_on_call"
    journey_id: UUID
    case_id: UUID
    raised_at: Instant


EffectRequest: TypeAlias = Annotated[
    WriteEhrRecords | TransmitPrescription | QueryPdmp | SendMessage | PageOnCall, Field(discriminator="kind")
]


class EffectCall(Value):
    """One bounded attempt at an effect: what an effect activity is given."""

    key: ShortText
    journey_id: UUID
    attempt: int = Field(ge=1)
    request: EffectRequest


# --- outcomes ---------------------------------------------------------------------------------------------------


class EhrWritten(Value):
    kind: Literal["ehr_written"] = "ehr_written"
    references: tuple[ShortText, ...]


class PrescriptionSent(Value):
    kind: Literal["prescription_sent"] = "prescription_sent"
    message_id: ShortText
    status_code: ShortText


class PdmpAnswered(Value):
    """The outcome class, never the report itself (domain.md RX-7)."""

    kind: Literal["pdmp_answered"] = "pdmp_answered"
    query_id: ShortText
    states: tuple[StateCode, ...]
    outcome: Literal["clear", "review"]
    prescribers: int
    overlapping: bool


class MessageAccepted(Value):
    kind: Literal["message_accepted"] = "message_accepted"
    message_id: ShortText


class Paged(Value):
    kind: Literal["paged"] = "paged"
    page_id: ShortText


class EffectRejected(Value):
    """The outside system said no for good: a person must look. ``code`` is its own code, never its prose."""

    kind: Literal["effect_rejected"] = "effect_rejected"
    code: ShortText


EffectOutcome: TypeAlias = Annotated[
    EhrWritten | PrescriptionSent | PdmpAnswered | MessageAccepted | Paged | EffectRejected,
    Field(discriminator="kind"),
]


class EffectResult(Value):
    """What an effect activity returns when the outside system has answered. It raises when it has not."""

    key: ShortText
    outcome: EffectOutcome
    was_sent_before: bool = False
