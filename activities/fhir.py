"""Our facts as FHIR R4 resources, after US Core 6.1 where it has a profile (domain.md §7).

Pure: from an entry to a dict. An id names what a resource is about where that has a name of its own (a prescription,
a session), so that a later fact updates it; else it is derived from the effect's key, so that a repetition does.
"""

from __future__ import annotations

from typing import Final, assert_never
from uuid import UUID

from domain.effects import (
    EhrAppointment,
    EhrDose,
    EhrEntry,
    EhrMedicationRequest,
    EhrPatient,
    EhrReferral,
    EhrScore,
    EhrVitals,
    WriteEhrRecords,
    journey_of,
    resource_id,
)
from domain.values import Instant, Json

LOCAL: Final = "urn:alliance:"
LOINC: Final = "http://loinc.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED: Final = "http://snomed.info/sct"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM: Final = "http://unitsofmeasure.org"
NPI: Final = "http://hl7.org/fhir/sid/us-npi"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"

_NPI_DIGITS: Final = 10


def resources(key: str, request: WriteEhrRecords) -> list[Json]:
    """Every resource of one write, each with its id."""
    subject = {"reference": f"Patient/{request.patient_id}"}
    written: list[Json] = []
    for index, entry in enumerate(request.entries):
        written += _resources(entry, key, str(index), subject, request.patient_id)
    return written


def provenance(key: str, written: list[Json], recorded: Instant) -> Json:
    """Write what else stands in the same transaction: it exists exactly when everything that it names was written."""
    return {
        "resourceType": "Provenance",
        "id": str(provenance_id(key)),
        "target": [{"reference": f"{resource['resourceType']}/{resource['id']}"} for resource in written],
        "recorded": recorded.isoformat(),
        "agent": [
            {
                "type": _concept(f"{TERMINOLOGY}provenance-participant-type", "transmitter"),
                "who": {"identifier": {"system": f"{LOCAL}system", "value": "alliance"}, "display": "Alliance"},
            }
        ],
    }


def provenance_id(key: str) -> UUID:
    """The id of the Provenance that an effect leaves behind."""
    return resource_id(key, "provenance")


def _resources(entry: EhrEntry, key: str, index: str, subject: Json, patient_id: UUID) -> list[Json]:
    match entry:
        case EhrPatient():
            return [_patient(entry, patient_id)]
        case EhrReferral():
            return [_service_request(entry, resource_id(str(journey_of(key)), "referral"), subject)]
        case EhrScore():
            return [_score(entry, resource_id(key, "score", index), subject)]
        case EhrVitals():
            return _vitals(entry, key, index, subject)
        case EhrMedicationRequest():
            return [_medication_request(entry, subject)]
        case EhrDose():
            return [_administration(entry, resource_id(key, "dose", index), subject)]
        case EhrAppointment():
            return [_appointment(entry, subject)]
        case _:
            assert_never(entry)


def _patient(entry: EhrPatient, patient_id: UUID) -> Json:
    address = entry.address
    return {
        "resourceType": "Patient",
        "id": str(patient_id),
        "identifier": [{"system": f"{LOCAL}patient", "value": str(patient_id)}],
        "name": [{"use": "official", "family": entry.name.family, "given": [entry.name.given]}],
        "telecom": [
            {"system": "phone", "value": entry.phone},
            {"system": "email", "value": entry.email},
        ],
        "gender": entry.sex,
        "birthDate": entry.birth_date.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [address.line],
                "city": address.city,
                "state": address.state,
                "postalCode": address.postal_code,
                "country": "US",
            }
        ],
    }


def _service_request(entry: EhrReferral, identity: UUID, subject: Json) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": str(identity),
        "status": entry.status,
        "intent": "order",
        "code": {
            "coding": [
                {"system": SNOMED, "code": "75516001", "display": "Psychotherapy"},
                {"system": f"{LOCAL}service", "code": "kap-referral"},
            ]
        },
        "subject": subject,
        "authoredOn": entry.authored_at.isoformat(),
        "requester": _clinician(entry.requester),
        "reasonCode": [_concept(ICD10, entry.reason_icd10)],
    }


def _score(entry: EhrScore, identity: UUID, subject: Json) -> Json:
    local = {"system": f"{LOCAL}instrument", "code": entry.instrument}
    loinc = [{"system": LOINC, "code": entry.loinc}] if entry.loinc else []
    return {
        "resourceType": "Observation",
        "id": str(identity),
        "status": "final",
        "category": [_concept(f"{TERMINOLOGY}observation-category", "survey")],
        "code": {"coding": [*loinc, local]},
        "subject": subject,
        "effectiveDateTime": entry.effective_at.isoformat(),
        "valueQuantity": _quantity(entry.total, entry.unit),
    }


def _vitals(entry: EhrVitals, key: str, index: str, subject: Json) -> list[Json]:
    def observation(name: str, *loinc: str) -> Json:
        return {
            "resourceType": "Observation",
            "id": str(resource_id(key, name, index)),
            "status": "final",
            "category": [_concept(f"{TERMINOLOGY}observation-category", "vital-signs")],
            "code": {"coding": [{"system": LOINC, "code": code} for code in loinc]},
            "subject": subject,
            "effectiveDateTime": entry.effective_at.isoformat(),
        }

    pressure = observation("blood-pressure", "85354-9") | {
        "component": [
            {"code": _concept(LOINC, "8480-6"), "valueQuantity": _quantity(entry.systolic, "mm[Hg]")},
            {"code": _concept(LOINC, "8462-4"), "valueQuantity": _quantity(entry.diastolic, "mm[Hg]")},
        ]
    }
    rate = observation("heart-rate", "8867-4") | {"valueQuantity": _quantity(entry.heart_rate, "/min")}
    if entry.oxygen_saturation is None:
        return [pressure, rate]
    saturation = observation("oxygen-saturation", "59408-5", "2708-6")
    return [pressure, rate, saturation | {"valueQuantity": _quantity(entry.oxygen_saturation, "%")}]


def _medication_request(entry: EhrMedicationRequest, subject: Json) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": str(entry.rx_id),
        "status": entry.status,
        "intent": "order",
        "category": [_concept(f"{TERMINOLOGY}medicationrequest-category", "outpatient")],
        "medicationCodeableConcept": _concept(RXNORM, entry.rxnorm),
        "subject": subject,
        "authoredOn": entry.authored_on.isoformat(),
        "requester": _clinician(entry.requester),
        "courseOfTherapyType": _concept(f"{TERMINOLOGY}medicationrequest-course-of-therapy", "acute"),
        "dosageInstruction": [
            {
                "text": entry.sig,
                "route": _concept(SNOMED, entry.route_snomed),
                "doseAndRate": [{"doseQuantity": _quantity(entry.dose_mg, "mg")}],
            }
        ],
        "dispenseRequest": {
            "validityPeriod": {"start": entry.authored_on.isoformat(), "end": entry.valid_until.isoformat()},
            "numberOfRepeatsAllowed": 0,
            "quantity": {"value": entry.quantity},
        },
    }


def _administration(entry: EhrDose, identity: UUID, subject: Json) -> Json:
    return {
        "resourceType": "MedicationAdministration",
        "id": str(identity),
        "status": "completed",
        "medicationCodeableConcept": _concept(RXNORM, entry.rxnorm),
        "subject": subject,
        "effectiveDateTime": entry.started_at.isoformat(),
        "request": {"reference": f"MedicationRequest/{entry.rx_id}"},
        "dosage": {"route": _concept(SNOMED, entry.route_snomed), "dose": _quantity(entry.mg, "mg")},
    }


def _appointment(entry: EhrAppointment, subject: Json) -> Json:
    return {
        "resourceType": "Appointment",
        "id": str(entry.session_id),
        "status": entry.status,
        "serviceType": [_concept(f"{LOCAL}session", entry.session_kind)],
        "start": entry.starts_at.isoformat(),
        "end": entry.ends_at.isoformat(),
        "participant": [
            {"actor": subject, "status": "accepted"},
            {"actor": _clinician(entry.practitioner), "status": "accepted"},
        ],
    }


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _quantity(value: float, unit: str) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _clinician(name: str) -> Json:
    """Refer to a clinician by identifier, an NPI if it looks like one: the EHR keeps its own directory."""
    is_npi = name.isascii() and name.isdigit() and len(name) == _NPI_DIGITS
    system = NPI if is_npi else f"{LOCAL}clinician"
    return {"type": "Practitioner", "identifier": {"system": system, "value": name}}
