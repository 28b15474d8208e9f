"""The EHR server does what FHIR promises a careful writer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

import httpx2
import pytest

from outside.ehr import ehr_base_url, ehr_command, ehr_ready_url
from tests.outside.servers import free_port, running

FHIR_JSON = {"Content-Type": "application/fhir+json"}
NAMESPACE = UUID("0d6a1c0e-3d7e-4e39-9a58-1c2f6b1f6a10")
AT = "2026-01-26T16:00:00Z"
KETAMINE = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "6130"}]}
SUBLINGUAL = {"coding": [{"system": "http://snomed.info/sct", "code": "37839007"}]}


def an_id(name: str) -> str:
    """Make the same client-chosen id for the same name."""
    return str(uuid5(NAMESPACE, name))


PATIENT = {"reference": f"Patient/{an_id('Patient')}"}


def coding(system: str, code: str) -> dict[str, Any]:
    """Build a CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def pressure(loinc: str, mmhg: int) -> dict[str, Any]:
    """Build one component of the blood pressure panel."""
    quantity = {"value": mmhg, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    return {"code": coding("http://loinc.org", loinc), "valueQuantity": quantity}


CONTENT: dict[str, dict[str, Any]] = {
    "Patient": {
        "name": [{"family": "Example", "given": ["Ada"]}],
        "birthDate": "1987-03-14",
        "gender": "female",
        "telecom": [{"system": "email", "value": "ada@example.org"}],
        "address": [{"line": ["1 Test Street"], "city": "Albany", "state": "NY", "postalCode": "12207"}],
    },
    "ServiceRequest": {
        "status": "active",
        "intent": "order",
        "subject": PATIENT,
        "authoredOn": AT,
        "code": coding("http://snomed.info/sct", "75516001"),
        "requester": {"identifier": {"value": "therapist"}},
    },
    "Observation": {
        "status": "final",
        "category": [coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
        "code": coding("http://loinc.org", "85354-9"),
        "subject": PATIENT,
        "effectiveDateTime": AT,
        "component": [pressure("8480-6", 124), pressure("8462-4", 78)],
    },
    "MedicationRequest": {
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": KETAMINE,
        "subject": PATIENT,
        "authoredOn": "2026-01-13",
        "dosageInstruction": [{"text": "One troche at a supervised session", "route": SUBLINGUAL}],
        "dispenseRequest": {"numberOfRepeatsAllowed": 0, "quantity": {"value": 2}},
    },
    "MedicationAdministration": {
        "status": "completed",
        "medicationCodeableConcept": KETAMINE,
        "subject": PATIENT,
        "request": {"reference": f"MedicationRequest/{an_id('MedicationRequest')}"},
        "effectiveDateTime": AT,
        "dosage": {"route": SUBLINGUAL, "dose": {"value": 100, "unit": "mg"}},
    },
    "Appointment": {
        "status": "booked",
        "start": AT,
        "end": "2026-01-26T19:00:00Z",
        "participant": [{"actor": PATIENT, "status": "accepted"}],
    },
}


def transaction(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put every resource under its client-chosen id."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{an_id(kind)}",
            "resource": {"resourceType": kind, "id": an_id(kind), **elements},
            "request": {"method": "PUT", "url": f"{kind}/{an_id(kind)}"},
        }
        for kind, elements in content.items()
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@pytest.fixture(scope="module")
def ehr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Run the EHR once for this module."""
    folder, port = tmp_path_factory.mktemp("ehr"), free_port()
    argv, environment = ehr_command(folder / "state", port)
    with (
        running(argv, environment, ehr_ready_url(port), folder / "log"),
        httpx2.Client(base_url=ehr_base_url(port), headers=FHIR_JSON, timeout=60) as http,
    ):
        yield http


def test_the_same_transaction_twice_makes_one_of_each(ehr: httpx2.Client) -> None:
    """PUT with client ids in a transaction creates once and updates afterwards: one resource of each type."""
    first, second = (ehr.post("", json=transaction(CONTENT)) for _ in range(2))

    assert ["201 Created"] * 6 == [e["response"]["status"] for e in first.json()["entry"]]
    assert ["200 OK"] * 6 == [e["response"]["status"] for e in second.json()["entry"]]
    for kind in CONTENT:
        found = ehr.get(f"/{kind}").json()
        assert [an_id(kind)] == [e["resource"]["id"] for e in found["entry"]]


def test_what_was_written_is_read_back(ehr: httpx2.Client) -> None:
    """The blood pressure panel keeps both components, its time and its patient."""
    ehr.post("", json=transaction(CONTENT))

    panel = ehr.get(f"/Observation/{an_id('Observation')}").json()

    assert [124, 78] == [c["valueQuantity"]["value"] for c in panel["component"]]
    assert (AT, PATIENT) == (panel["effectiveDateTime"], panel["subject"])


def test_a_transaction_is_all_or_nothing(ehr: httpx2.Client) -> None:
    """One malformed resource rolls the whole bundle back."""
    lonely = {"Patient": CONTENT["Patient"], "Observation": {"status": "final", "code": "not a concept"}}
    bundle = transaction(lonely)
    new_id = an_id("somebody else")
    bundle["entry"][0]["resource"]["id"] = new_id
    bundle["entry"][0]["request"]["url"] = f"Patient/{new_id}"

    answer = ehr.post("", json=bundle)

    assert (400, "OperationOutcome") == (answer.status_code, answer.json()["resourceType"])
    assert 404 == ehr.get(f"/Patient/{new_id}").status_code


def test_nothing_happens_in_the_ehr_by_itself(ehr: httpx2.Client) -> None:
    """The built-in hospital simulator is off: an order is not dispensed by the server."""
    ehr.post("", json=transaction(CONTENT))

    assert 0 == ehr.get("/MedicationDispense").json()["total"]
