"""A prescription drug monitoring program, after the HL7 US PDMP FHIR guide's ``$pdmp-history`` (R4).

Takes the guide's ``patient`` and ``authorized-practitioner`` parameters, with two of our own: ``state`` (repeated, the
states to ask) and ``requested-at`` (the demo's clock is in its requests). The answer is the history itself as a
searchset Bundle of MedicationDispense, scripted by a scenario.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from outside.faults import Faults, System, unreliable_router
from outside.once import KeyReusedError, Once

FHIR_JSON = "application/fhir+json"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
RXNORM_SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"


class Scenario(StrEnum):
    CLEAR = "clear"
    OVERLAP = "overlap"


class ScenarioOrder(BaseModel):
    scenario: Scenario


class Parameter(BaseModel):
    name: str
    resource: dict[str, Any] | None = None
    value_code: str | None = Field(default=None, alias="valueCode")
    value_instant: AwareDatetime | None = Field(default=None, alias="valueInstant")


class Parameters(BaseModel):
    resource_type: Literal["Parameters"] = Field(alias="resourceType")
    parameter: list[Parameter]


class History(BaseModel):
    """What was asked. ``states`` are two-letter codes."""

    patient: dict[str, Any]
    requester_npi: Annotated[str, Field(pattern=r"^\d{10}$")]
    states: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]], Field(min_length=1)]
    requested_at: AwareDatetime


class Dispensed(BaseModel):
    """One line of the overlap scenario: both were handed over recently enough to be still in use."""

    rxnorm: str
    drug: str
    days_ago: int
    days_supply: int
    prescriber_npi: str


OVERLAP = (
    Dispensed(rxnorm="596", drug="alprazolam", days_ago=10, days_supply=30, prescriber_npi="1093817465"),
    Dispensed(rxnorm="7804", drug="oxycodone", days_ago=5, days_supply=14, prescriber_npi="1245319599"),
)


def read_query(body: bytes) -> History:
    """Read the query in a Parameters resource. Raises pydantic's ValidationError."""
    parameters = Parameters.model_validate_json(body).parameter
    by_name = {p.name: p for p in parameters}
    practitioner = by_name.get("authorized-practitioner")
    identifiers = (practitioner.resource or {}).get("identifier", []) if practitioner else []
    return History.model_validate(
        {
            "patient": by_name["patient"].resource if "patient" in by_name else None,
            "requester_npi": next((i.get("value") for i in identifiers if i.get("system") == NPI_SYSTEM), None),
            "states": [p.value_code for p in parameters if p.name == "state"],
            "requested_at": by_name["requested-at"].value_instant if "requested-at" in by_name else None,
        }
    )


def _dispense(line: Dispensed, key: str, requested_at: datetime) -> dict[str, Any]:
    request_id = "rx"
    prescriber = {"identifier": {"system": NPI_SYSTEM, "value": line.prescriber_npi}}
    medication = {"coding": [{"system": RXNORM_SYSTEM, "code": line.rxnorm, "display": line.drug}]}
    order = {
        "resourceType": "MedicationRequest",
        "id": request_id,
        "status": "completed",
        "intent": "order",
        "medicationCodeableConcept": medication,
        "subject": {"display": "the queried patient"},
        "requester": prescriber,
    }
    return {
        "resourceType": "MedicationDispense",
        "id": str(uuid5(NAMESPACE_URL, f"{key}/{line.rxnorm}")),
        "contained": [order],
        "status": "completed",
        "medicationCodeableConcept": medication,
        "subject": {"display": "the queried patient"},
        "authorizingPrescription": [{"reference": f"#{request_id}"}],
        "daysSupply": {"value": line.days_supply, "system": "http://unitsofmeasure.org", "code": "d"},
        "whenHandedOver": (requested_at - timedelta(days=line.days_ago)).isoformat(),
    }


def answer_bundle(key: str, query: History, scenario: Scenario) -> dict[str, Any]:
    """Render the history as a searchset Bundle; empty when nothing is known."""
    lines = OVERLAP if scenario is Scenario.OVERLAP else ()
    entries = [_dispense(line, key, query.requested_at) for line in lines]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": str(uuid5(NAMESPACE_URL, key)),
        "type": "searchset",
        "timestamp": query.requested_at.isoformat(),
        "total": len(entries),
    }
    if entries:
        bundle["entry"] = [
            {"fullUrl": f"urn:uuid:{e['id']}", "resource": e, "search": {"mode": "match"}} for e in entries
        ]
    return bundle


class Pdmp:
    """The queries answered so far and the scenario the next new one will get."""

    def __init__(self) -> None:
        self.queries: Once[dict[str, Any]] = Once()
        self.scenario = Scenario.CLEAR


def client_routes(pdmp: Pdmp, faults: Faults) -> APIRouter:
    router = unreliable_router(System.PDMP, faults)

    @router.post("/fhir/Patient/$pdmp-history")
    async def history(request: Request, idempotency_key: Annotated[str, Header()]) -> JSONResponse:
        """200 with the Bundle; the same key again gets the same Bundle. 400, 409: OperationOutcome."""
        try:
            query = read_query(await request.body())
            bundle, _ = pdmp.queries.answer(
                idempotency_key, query, lambda: answer_bundle(idempotency_key, query, pdmp.scenario)
            )
        except ValidationError as e:
            first = e.errors(include_input=False, include_url=False)[0]
            return _outcome(400, "invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        except KeyReusedError:
            return _outcome(409, "duplicate", "This Idempotency-Key asked something else; derive a new key.")
        return JSONResponse(bundle, media_type=FHIR_JSON)

    @router.get("/queries/{key}")
    async def look_up(key: str) -> JSONResponse:
        entry = pdmp.queries.get(key)
        if entry is None:
            raise HTTPException(404, "No query was answered under this key.")
        return JSONResponse(entry.answer, media_type=FHIR_JSON)

    return router


def control_routes(pdmp: Pdmp) -> APIRouter:
    router = APIRouter(prefix="/pdmp/control")

    @router.post("/scenario")
    async def play(order: ScenarioOrder) -> ScenarioOrder:
        pdmp.scenario = order.scenario
        return order

    return router


def _outcome(status: int, code: str, diagnostics: str) -> JSONResponse:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": [issue]}, status_code=status, media_type=FHIR_JSON
    )
