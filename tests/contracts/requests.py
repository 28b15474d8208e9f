"""Requests to the outside, about one invented patient."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from domain.effects import (
    Address,
    EffectCall,
    EffectRequest,
    MessageTemplate,
    PageOnCall,
    PersonName,
    QueryPdmp,
    SendMessage,
    TransmitPrescription,
    effect_key,
)

AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
NAME = PersonName(given="Zaphod", family="Beeblebrox")
ADDRESS = Address(line="42 Magrathea Street", city="Albany", state="NY", postal_code="12207")
BORN = date(1980, 3, 14)
NPI = "1234567893"


def call(request: EffectRequest, *, key: str | None = None, attempt: int = 1) -> EffectCall:
    """One attempt at a request, under a fresh key unless one is given."""
    if key is None:
        key = effect_key(uuid4(), 7, "effect")
    return EffectCall(key=key, journey_id=UUID(key.split(".")[0]), attempt=attempt, request=request)


def prescription(*, refills: int = 0) -> TransmitPrescription:
    """Eight ketamine troches."""
    return TransmitPrescription(
        rx_id=uuid4(),
        pharmacy="9900001",
        patient_name=NAME,
        patient_birth_date=BORN,
        patient_address=ADDRESS,
        prescriber_npi=NPI,
        prescriber_dea="AB1234563",
        rxnorm="6130",
        drug="ketamine 100 mg troche",
        form="troche",
        strength_mg=100.0,
        quantity=8,
        sig="Dissolve under the tongue as directed in session",
        refills=refills,
        days_supply=28,
        written_at=AT,
    )


def query(*, npi: str = NPI) -> QueryPdmp:
    """Home state and one neighbour."""
    return QueryPdmp(
        patient_name=NAME,
        patient_birth_date=BORN,
        patient_address=ADDRESS,
        states=("NY", "NJ"),
        requester_npi=npi,
        requested_at=AT,
    )


def mail(*, to: str = "zaphod@example.org", template: MessageTemplate = MessageTemplate.NEW_MESSAGE) -> SendMessage:
    """A mail about nothing in particular."""
    return SendMessage(template=template, to=to, reference="A-1042")


def page() -> PageOnCall:
    """A call for help."""
    return PageOnCall(journey_id=uuid4(), case_id=uuid4(), raised_at=AT)
