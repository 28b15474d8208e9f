"""Sends prescriptions to the pharmacy, as NCPDP SCRIPT-style messages in JSON (domain.md §3.3).

The standard's schemas are its members' own; element names follow common knowledge of it. The MessageID is the
effect's key, so the pharmacy's webhooks, which relate to it, find their journey by it.
"""

from __future__ import annotations

from typing import Any, Final

import httpx2
from pydantic import ValidationError
from temporalio import activity

from activities.effects import Claims, perform
from activities.wire import OutsideUnavailableError, Wire, rejected
from domain.effects import EffectCall, EffectOutcome, EffectResult, PrescriptionSent, TransmitPrescription
from domain.values import Json
from runtime.names import TRANSMIT_PRESCRIPTION

_TRANSIENT_ERRORS: Final = frozenset({"600", "602"})
"""SCRIPT errors about the communication or the receiving system, not about the prescription."""


def new_rx(key: str, request: TransmitPrescription) -> Json:
    """Write a NewRx. Every value is from the request, so that the same effect is always the same message."""
    return {
        "Header": {
            "MessageID": key,
            "SentTime": request.written_at.isoformat(),
            "From": request.prescriber_npi,
            "To": request.pharmacy,
            "PrescriberOrderNumber": str(request.rx_id),
        },
        "Body": {
            "NewRx": {
                "Patient": {"HumanPatient": _patient(request)},
                "Prescriber": {
                    "NonVeterinarian": {
                        "Identification": {"NPI": request.prescriber_npi, "DEANumber": request.prescriber_dea}
                    }
                },
                "MedicationPrescribed": _medication(request),
            }
        },
    }


def _patient(request: TransmitPrescription) -> Json:
    address = request.patient_address
    return {
        "Name": {"LastName": request.patient_name.family, "FirstName": request.patient_name.given},
        "DateOfBirth": {"Date": request.patient_birth_date.isoformat()},
        "Address": {
            "AddressLine1": address.line,
            "City": address.city,
            "StateProvince": address.state,
            "PostalCode": address.postal_code,
        },
    }


def _medication(request: TransmitPrescription) -> Json:
    return {
        "DrugDescription": request.drug,
        "DrugCoded": {
            "DrugDBCode": {"Code": request.rxnorm, "Qualifier": "RxNorm"},
            "Strength": {"StrengthValue": request.strength_mg, "StrengthUnit": "mg", "StrengthForm": request.form},
            "DEASchedule": "CIII",
        },
        "Quantity": {"Value": request.quantity},
        "DaysSupply": request.days_supply,
        "WrittenDate": {"Date": request.written_at.date().isoformat()},
        "NumberOfRefills": request.refills,
        "Sig": {"SigText": request.sig},
    }


class Pharmacy:
    """The e-prescribing network's HTTP API."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._wire = Wire("pharmacy", client)

    async def send(self, key: str, request: TransmitPrescription) -> EffectOutcome:
        """Send the NewRx."""
        response = await self._wire.post("messages", key, new_rx(key, request))
        answer = self._wire.json(response)
        if response.is_success:
            return self._sent(key, answer, "Body", "Status", "Code")
        code, described = _error(answer)
        if code in _TRANSIENT_ERRORS:
            raise OutsideUnavailableError(self._wire.system, f"script_{code}")
        return rejected(response, f"{code}:{described}" if described else code)

    async def lookup(self, key: str, request: TransmitPrescription) -> EffectOutcome | None:
        """Find the message at the pharmacy."""
        del request
        found = await self._wire.get("messages", key)
        return None if found is None else self._sent(key, found, "Status", "Code")

    def _sent(self, key: str, answer: Any, *path: str) -> PrescriptionSent:
        try:
            for name in path:
                answer = answer[name]
            return PrescriptionSent(message_id=key, status_code=answer)
        except (KeyError, TypeError, ValidationError):
            raise OutsideUnavailableError(self._wire.system, "unreadable") from None


def _error(answer: Any) -> tuple[str | None, str | None]:
    try:
        error = answer["Body"]["Error"]
        return str(error["Code"]), error.get("DescriptionCode")
    except (KeyError, TypeError, AttributeError):
        return None, None


class PharmacyActivities:
    """``transmit_prescription``."""

    def __init__(self, pharmacy: Pharmacy, claims: Claims) -> None:
        self._pharmacy = pharmacy
        self._claims = claims

    @activity.defn(name=TRANSMIT_PRESCRIPTION)
    async def transmit_prescription(self, call: EffectCall) -> EffectResult:
        """Transmit once: two would be twice the drug."""
        claimed = await self._claims.claim(call.key, call.journey_id)
        return await perform(call, TransmitPrescription, self._pharmacy, claimed_before=claimed)
