"""S4, the pharmacy's side: transmitted, accepted, filled, delivered (domain.md §3.3).

What a pharmacy reports has happened. A report that fits nothing is kept as an anomaly, and a person looks.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from domain.effects import EffectRejected, PrescriptionSent
from domain.envelope import Role
from domain.journey.messages import Context, Decision, Event, Fact, Obligation, Stamp, Task, accept
from domain.journey.prescription import RxStatus
from domain.protocols import Protocol
from domain.values import ShortText

if TYPE_CHECKING:
    from domain.journey.state import Journey

_ON_ITS_WAY = frozenset({RxStatus.SIGNED, RxStatus.TRANSMITTED})


class PharmacyStatusReceived(Fact, name="pharmacy_status_received"):
    """Status or Verify (accepted) or Error, for a NewRx of ours."""

    key: ShortText
    code: ShortText
    accepted: bool


class PharmacyFillReported(Fact, name="pharmacy_fill_reported"):
    """RxFill."""

    key: ShortText
    note: Literal["Dispensed", "PartiallyDispensed", "NotDispensed"]
    lot: ShortText | None = None
    quantity: int = 0
    beyond_use_on: date | None = None


class PharmacyDeliveryReported(Fact, name="pharmacy_delivery_reported"):
    """The parcel was handed over, with an adult's signature or without."""

    key: ShortText
    signed_by_adult: bool


class PrescriptionTransmitted(Event, type="prescription_transmitted.v1"):
    rx_id: UUID
    key: ShortText
    status_code: ShortText


class PrescriptionTransmissionFailed(Event, type="prescription_transmission_failed.v1"):
    rx_id: UUID
    code: ShortText


class PrescriptionAccepted(Event, type="prescription_accepted.v1"):
    rx_id: UUID


class PrescriptionFilled(Event, type="prescription_filled.v1"):
    rx_id: UUID
    note: ShortText
    lot: ShortText | None
    quantity: int
    beyond_use_on: date | None


class PrescriptionDelivered(Event, type="prescription_delivered.v1"):
    rx_id: UUID
    signed_by_adult: bool


class PharmacyAnomalyRecorded(Event, type="pharmacy_anomaly_recorded.v1"):
    """A message from the pharmacy that fits no prescription of this journey, or not its status. A person looks."""

    key: ShortText
    message: ShortText


Commands: TypeAlias = PharmacyStatusReceived | PharmacyFillReported | PharmacyDeliveryReported
Events: TypeAlias = (
    PrescriptionTransmitted
    | PrescriptionTransmissionFailed
    | PrescriptionAccepted
    | PrescriptionFilled
    | PrescriptionDelivered
    | PharmacyAnomalyRecorded
)


def decide(journey: Journey, fact: Commands, _ctx: Context) -> Decision:
    """A fact is never refused: what does not fit is kept as an anomaly for a person (architecture D5)."""
    rx = journey.prescriptions.keyed(fact.key)
    anomaly = accept(PharmacyAnomalyRecorded(key=fact.key, message=fact.name))
    if rx is None:
        return anomaly
    match fact:
        case PharmacyStatusReceived(accepted=False):
            if rx.status not in {*_ON_ITS_WAY, RxStatus.ACCEPTED}:
                return anomaly  # drug that was dispensed does not vanish because of a late message
            return accept(PrescriptionTransmissionFailed(rx_id=rx.rx_id, code=fact.code))
        case PharmacyStatusReceived():
            return accept(PrescriptionAccepted(rx_id=rx.rx_id)) if rx.status in _ON_ITS_WAY else anomaly
        case PharmacyFillReported():
            if rx.status not in {*_ON_ITS_WAY, RxStatus.ACCEPTED}:
                return anomaly
            return accept(PrescriptionFilled(rx_id=rx.rx_id, **fact.model_dump(exclude={"key"})))
        case PharmacyDeliveryReported():
            if rx.status is not RxStatus.FILLED or not fact.signed_by_adult:
                return anomaly
            return accept(PrescriptionDelivered(rx_id=rx.rx_id, signed_by_adult=True))
        case _:
            assert_never(fact)


def settle(journey: Journey, key: str, outcome: PrescriptionSent | EffectRejected) -> tuple[Event, ...]:
    """What the pharmacy's answer to our NewRx means."""
    rx = journey.prescriptions.keyed(key)
    if rx is None or rx.status is not RxStatus.SIGNED:
        return ()  # the pharmacy's own status overtook the acknowledgement
    if isinstance(outcome, EffectRejected):
        return (PrescriptionTransmissionFailed(rx_id=rx.rx_id, code=outcome.code),)
    return (PrescriptionTransmitted(rx_id=rx.rx_id, key=key, status_code=outcome.status_code),)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here, at = journey.prescriptions, stamp.occurred_at
    match event:
        case PrescriptionTransmitted():
            here = here.replace(event.rx_id, status=RxStatus.TRANSMITTED)
        case PrescriptionTransmissionFailed():
            here = here.replace(event.rx_id, status=RxStatus.ERROR)
        case PrescriptionAccepted():
            here = here.replace(event.rx_id, status=RxStatus.ACCEPTED)
        case PrescriptionFilled():
            status = RxStatus.NOT_FILLED if event.note == "NotDispensed" else RxStatus.FILLED
            here = here.replace(event.rx_id, status=status, beyond_use_on=event.beyond_use_on)
        case PrescriptionDelivered():
            here = here.replace(event.rx_id, status=RxStatus.DELIVERED, delivered_at=at)
        case PharmacyAnomalyRecorded():
            pass
        case _:
            assert_never(event)
    return journey.model_copy(update={"prescriptions": here})


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """SLA-7: from a signed prescription to the parcel at the door."""
    clocks, owed = policy.clocks, []
    for rx in journey.prescriptions.all:
        if rx.status in {RxStatus.DELIVERED, RxStatus.DRAFTED}:
            continue
        if rx.status in {RxStatus.ERROR, RxStatus.NOT_FILLED}:
            by = clocks.business_days_after(rx.signed_at or journey.touched_at, 1)
            owed.append(Task(key=f"rx/{rx.rx_id}/call", code="CALL_PHARMACY", owner=Role.COORDINATOR, due_at=by))
        elif rx.signed_at is not None:
            by = clocks.business_days_after(rx.signed_at, clocks.delivery_business_days)
            owed.append(Task(key=f"rx/{rx.rx_id}/arrive", code="RECEIVE_DRUG", owner=Role.COORDINATOR, due_at=by))
    return tuple(owed)
