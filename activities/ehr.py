"""Writes the journey's facts into the EHR, a FHIR R4 server: one transaction per effect, all of it or none.

The EHR knows no idempotency keys. Every resource is put under an id of our own instead, and a Provenance goes along
whose id is made of the key: to ask whether an effect was done is to read it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import httpx2
from pydantic import ValidationError
from temporalio import activity

from activities.effects import Claims, perform
from activities.fhir import provenance, provenance_id, resources
from activities.wire import OutsideUnavailableError, Wire, issue_code, rejected
from domain.effects import EffectCall, EffectOutcome, EffectResult, EhrWritten, WriteEhrRecords
from domain.values import Json
from runtime.names import WRITE_EHR_RECORDS

_FHIR_JSON: Final = "application/fhir+json"


def transaction(written: list[Json]) -> Json:
    """Put each resource under its own id, all or none."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:{resource['id']}",
                "resource": resource,
                "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
            }
            for resource in written
        ],
    }


class Ehr:
    """The EHR's FHIR R4 API."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._wire = Wire("ehr", client)

    async def send(self, key: str, request: WriteEhrRecords) -> EffectOutcome:
        """Write everything in one transaction."""
        written = resources(key, request)
        proof = provenance(key, written, datetime.now(UTC))
        response = await self._wire.post("", key, transaction([*written, proof]), _FHIR_JSON)
        if response.is_success:
            return self._written(proof)
        return rejected(response, issue_code(response))

    async def lookup(self, key: str, request: WriteEhrRecords) -> EffectOutcome | None:
        """Read the Provenance that the transaction left."""
        del request
        found = await self._wire.get("Provenance", str(provenance_id(key)))
        return None if found is None else self._written(found)

    def _written(self, proof: Json) -> EhrWritten:
        try:
            return EhrWritten(references=tuple(target["reference"] for target in proof["target"]))
        except (KeyError, TypeError, ValidationError):
            raise OutsideUnavailableError(self._wire.system, "unreadable") from None


class EhrActivities:
    """``write_ehr_records``."""

    def __init__(self, ehr: Ehr, claims: Claims) -> None:
        self._ehr = ehr
        self._claims = claims

    @activity.defn(name=WRITE_EHR_RECORDS)
    async def write_ehr_records(self, call: EffectCall) -> EffectResult:
        """Write one effect's records once."""
        claimed = await self._claims.claim(call.key, call.journey_id)
        return await perform(call, WriteEhrRecords, self._ehr, claimed_before=claimed)
