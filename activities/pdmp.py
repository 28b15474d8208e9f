"""Asks the prescription-drug monitoring program, by the HL7 US PDMP guide's ``$pdmp-history`` (FHIR R4).

Only counts and an outcome class leave this module, never the report (domain.md RX-7). What the counts mean is
policy, handed in as ``PdmpReview``; whatever the report leaves unclear is for a person to see.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import httpx2
from pydantic import Field
from temporalio import activity

from activities.effects import Claims, perform
from activities.wire import OutsideUnavailableError, Wire, issue_code, rejected
from domain.effects import EffectCall, EffectOutcome, EffectResult, PdmpAnswered, QueryPdmp
from domain.values import Json, Value
from runtime.names import QUERY_PDMP

_FHIR_JSON: Final = "application/fhir+json"
_NPI: Final = "http://hl7.org/fhir/sid/us-npi"
_RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"


class PdmpReview(Value):
    """When a history is for a person to review, as the policy in force says."""

    prescribers_min: int = Field(ge=1, description="this many different prescribers or more")
    exempt_rxnorm: frozenset[str] = Field(
        description="RxNorm codes whose running supply, prescribed by the requester, is expected; any other overlaps"
    )


def history_parameters(request: QueryPdmp) -> Json:
    """Write the query's Parameters."""
    address = request.patient_address
    patient = {
        "resourceType": "Patient",
        "name": [{"family": request.patient_name.family, "given": [request.patient_name.given]}],
        "birthDate": request.patient_birth_date.isoformat(),
        "address": [
            {"line": [address.line], "city": address.city, "state": address.state, "postalCode": address.postal_code}
        ],
    }
    practitioner = {
        "resourceType": "Practitioner",
        "identifier": [{"system": _NPI, "value": request.requester_npi}],
    }
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "resource": patient},
            {"name": "authorized-practitioner", "resource": practitioner},
            *({"name": "state", "valueCode": state} for state in request.states),
            {"name": "requested-at", "valueInstant": request.requested_at.isoformat()},
        ],
    }


class Pdmp:
    """The PDMP gateway's HTTP API."""

    def __init__(self, client: httpx2.AsyncClient, review: PdmpReview) -> None:
        self._wire = Wire("pdmp", client)
        self._review = review

    async def send(self, key: str, request: QueryPdmp) -> EffectOutcome:
        """Ask for the history."""
        body = history_parameters(request)
        response = await self._wire.post("fhir/Patient/$pdmp-history", key, body, _FHIR_JSON)
        if response.is_success:
            return self._answered(key, request, self._wire.json(response))
        return rejected(response, issue_code(response))

    async def lookup(self, key: str, request: QueryPdmp) -> EffectOutcome | None:
        """Find the answer already given under this key."""
        found = await self._wire.get("queries", key)
        return None if found is None else self._answered(key, request, found)

    def _answered(self, key: str, request: QueryPdmp, bundle: Any) -> PdmpAnswered:
        try:
            if bundle["resourceType"] != "Bundle":
                raise OutsideUnavailableError(self._wire.system, "unreadable")
            resources = [entry["resource"] for entry in bundle.get("entry", ())]
            dispenses = [item for item in resources if item["resourceType"] == "MedicationDispense"]
            is_partial = any(link["relation"] == "next" for link in bundle.get("link", ()))
            prescribers = len({prescriber for dispense in dispenses for prescriber in _prescribers(dispense)})
            overlapping = any(self._overlaps(dispense, request) for dispense in dispenses)
        except (KeyError, TypeError, AttributeError):
            raise OutsideUnavailableError(self._wire.system, "unreadable") from None
        is_understood = not is_partial and len(dispenses) == len(resources)
        is_clear = is_understood and prescribers < self._review.prescribers_min and not overlapping
        return PdmpAnswered(
            query_id=key,
            states=request.states,
            outcome="clear" if is_clear else "review",
            prescribers=prescribers,
            overlapping=overlapping,
        )

    def _overlaps(self, dispense: Json, request: QueryPdmp) -> bool:
        codings = dispense.get("medicationCodeableConcept", {}).get("coding", ())
        codes = {coding.get("code") for coding in codings if coding.get("system") == _RXNORM}
        is_ours = set(_prescribers(dispense)) == {request.requester_npi}
        if is_ours and codes and codes <= self._review.exempt_rxnorm:
            return False
        ends_at = _supply_ends_at(dispense)
        return ends_at is None or ends_at > request.requested_at


def _prescribers(dispense: Json) -> Iterator[str]:
    """Who prescribed it, by NPI. A dispense that does not say counts as one more prescriber."""
    orders = [item for item in dispense.get("contained", ()) if item.get("resourceType") == "MedicationRequest"]
    found = [
        identifier["value"]
        for order in orders
        if (identifier := order.get("requester", {}).get("identifier", {})).get("system") == _NPI
    ]
    yield from found or [f"unknown/{dispense.get('id')}"]


def _supply_ends_at(dispense: Json) -> datetime | None:
    """When a supply runs out; None when the report does not say."""
    try:
        handed_over_at = datetime.fromisoformat(dispense["whenHandedOver"])
        ends_at = handed_over_at + timedelta(days=dispense["daysSupply"]["value"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return ends_at if ends_at.tzinfo else None


class PdmpActivities:
    """``query_pdmp``."""

    def __init__(self, pdmp: Pdmp, claims: Claims) -> None:
        self._pdmp = pdmp
        self._claims = claims

    @activity.defn(name=QUERY_PDMP)
    async def query_pdmp(self, call: EffectCall) -> EffectResult:
        """Query once per key: every query stands in the state's own audit trail."""
        claimed = await self._claims.claim(call.key, call.journey_id)
        return await perform(call, QueryPdmp, self._pdmp, claimed_before=claimed)
