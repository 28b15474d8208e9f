"""The EHR, a real FHIR R4 server: everything is written once, in one transaction, as R4 says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from activities.ehr import Ehr, EhrActivities
from activities.fhir import provenance, resources
from activities.wire import OutsideUnavailableError
from domain.effects import (
    EffectRejected,
    EhrAppointment,
    EhrDose,
    EhrEntry,
    EhrMedicationRequest,
    EhrPatient,
    EhrReferral,
    EhrScore,
    EhrVitals,
    EhrWritten,
    WriteEhrRecords,
)
from runtime.http import http_client
from tests.contracts import requests
from tests.contracts.fhir_rules import faults
from tests.contracts.outside_world import LosesAnswers, MemoryClaims
from tests.contracts.requests import AT
from tests.runtime.wiretap import Wiretap

RX, SESSION = uuid4(), uuid4()
KEY = "0193e6a0-0000-7000-8000-000000000001.7.chart"
SUBLINGUAL = "37839007"

PATIENT = EhrPatient(
    name=requests.NAME,
    birth_date=requests.BORN,
    sex="male",
    email="zaphod@example.org",
    phone="+15185550100",
    address=requests.ADDRESS,
)
ENTRIES: tuple[EhrEntry, ...] = (
    PATIENT,
    EhrReferral(requester="therapist-7", reason_icd10="F33.2", authored_at=AT),
    EhrScore(instrument="phq9", loinc="44261-6", total=17.0, effective_at=AT),
    EhrScore(instrument="wai_sr", total=52.0, effective_at=AT),
    EhrVitals(systolic=128, diastolic=82, heart_rate=71, oxygen_saturation=97, effective_at=AT),
    EhrMedicationRequest(
        rx_id=RX,
        status="active",
        rxnorm="6130",
        route_snomed=SUBLINGUAL,
        dose_mg=100.0,
        quantity=8,
        sig="As directed in session",
        authored_on=AT.date(),
        valid_until=date(2027, 5, 23),
        requester=requests.NPI,
    ),
    EhrDose(rx_id=RX, mg=100.0, route_snomed=SUBLINGUAL, rxnorm="6130", started_at=AT),
    EhrAppointment(
        session_id=SESSION,
        session_kind="dosing",
        status="booked",
        starts_at=AT,
        ends_at=AT + timedelta(hours=3),
        practitioner="therapist-7",
    ),
)


@dataclass(frozen=True)
class Chart:
    """The adapter, over a network that can lose answers, and a plain client to look with."""

    activities: EhrActivities
    network: LosesAnswers
    client: httpx2.AsyncClient

    async def read(self, reference: str) -> dict[str, Any]:
        """Read one resource as the EHR has it."""
        response = await self.client.get(reference)
        assert 200 == response.status_code
        return dict(response.json())

    async def versions(self, reference: str) -> int:
        """Count how often a resource was written."""
        return int((await self.read(f"{reference}/_history"))["total"])


@pytest.fixture
async def chart(ehr_url: str) -> AsyncIterator[Chart]:
    """An adapter with fresh claims, at the shared EHR."""
    network = LosesAnswers()
    async with http_client(ehr_url, timeout_seconds=10, transport=network) as client:
        yield Chart(EhrActivities(Ehr(client), MemoryClaims()), network, client)


def write(patient_id: UUID, *entries: EhrEntry) -> WriteEhrRecords:
    """A request to write these about one patient."""
    return WriteEhrRecords(patient_id=patient_id, entries=entries)


def test_resources_are_as_r4_says() -> None:
    """Every resource we can write has known elements, codes of its required value sets, and allowed references."""
    written = resources(KEY, write(uuid4(), *ENTRIES))
    written.append(provenance(KEY, written, AT))

    assert {
        "Appointment",
        "MedicationAdministration",
        "MedicationRequest",
        "Observation",
        "Patient",
        "Provenance",
        "ServiceRequest",
    } == {resource["resourceType"] for resource in written}
    assert [] == [fault for resource in written for fault in faults(resource)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gender": "potato"}, "Patient.gender: potato"),
        ({"shoeSize": 44}, "Patient.shoeSize: unknown"),
        ({"generalPractitioner": [{"reference": "Patient/1"}]}, "may not refer to Patient/1"),
        ({"name": [{"use": "potato"}]}, "Patient.name.use: potato"),
    ],
)
def test_rules_bite(wrong: dict[str, Any], said: str) -> None:
    """The checker that finds nothing above does find a wrong code, an unknown element and a wrong reference."""
    (fault,) = faults({"resourceType": "Patient", **wrong})

    assert said in fault


async def test_everything_is_written(chart: Chart) -> None:
    """All kinds of entry in one call: each reference that comes back can be read, and says what was meant."""
    patient_id = uuid4()
    call = requests.call(write(patient_id, *ENTRIES))
    result = await chart.activities.write_ehr_records(call)
    assert isinstance(result.outcome, EhrWritten)
    found = [await chart.read(reference) for reference in result.outcome.references]

    # Eight entries, of which the vitals are three Observations.
    assert 10 == len(found)
    assert "Beeblebrox" == (await chart.read(f"Patient/{patient_id}"))["name"][0]["family"]
    assert {f"Patient/{patient_id}"} == {item["subject"]["reference"] for item in found if "subject" in item}
    pressure = next(item for item in found if item.get("code", {}).get("coding", [{}])[0].get("code") == "85354-9")
    assert [128, 82] == [part["valueQuantity"]["value"] for part in pressure["component"]]
    assert "booked" == (await chart.read(f"Appointment/{SESSION}"))["status"]


async def test_lost_acknowledgement(chart: Chart) -> None:
    """After a lost answer the next attempt finds the Provenance and writes nothing again."""
    patient_id = uuid4()
    call = requests.call(write(patient_id, PATIENT))
    chart.network.lose_next = True

    with pytest.raises(OutsideUnavailableError, match="timeout"):
        await chart.activities.write_ehr_records(call)
    result = await chart.activities.write_ehr_records(call)

    assert result.was_sent_before
    assert EhrWritten(references=(f"Patient/{patient_id}",)) == result.outcome
    assert 1 == await chart.versions(f"Patient/{patient_id}")


async def test_prescription_is_updated_not_repeated(chart: Chart) -> None:
    """A later fact about the same prescription is a new version of the same resource."""
    patient_id, rx_id = uuid4(), uuid4()
    active = next(entry for entry in ENTRIES if isinstance(entry, EhrMedicationRequest))
    active = active.model_copy(update={"rx_id": rx_id})
    await chart.activities.write_ehr_records(requests.call(write(patient_id, active)))
    cancelled = active.model_copy(update={"status": "cancelled"})
    await chart.activities.write_ehr_records(requests.call(write(patient_id, cancelled)))

    assert "cancelled" == (await chart.read(f"MedicationRequest/{rx_id}"))["status"]
    assert 2 == await chart.versions(f"MedicationRequest/{rx_id}")


async def test_all_or_nothing(chart: Chart) -> None:
    """One resource that the EHR refuses: its code comes back, and nothing of the call was written."""
    patient_id = uuid4()
    bad = EhrScore(instrument="two  spaces are no code", total=1.0, effective_at=AT)
    call = requests.call(write(patient_id, PATIENT, bad))
    result = await chart.activities.write_ehr_records(call)

    assert EffectRejected(code="structure") == result.outcome
    assert 404 == (await chart.client.get(f"Patient/{patient_id}")).status_code


async def test_refused_credentials_are_an_outage() -> None:
    """A 401 is ours to repair, not a reason to give an effect up."""
    async with http_client("http://ehr.example/fhir", timeout_seconds=1, transport=Wiretap(401, {})) as client:
        with pytest.raises(OutsideUnavailableError, match="status_401"):
            await Ehr(client).send(KEY, write(uuid4(), PATIENT))
