"""A compounding pharmacy behind an e-prescribing network: takes NewRx and CancelRx, tells the rest by webhook.

It works on the demo's own dates: every time it reports was in a request. What a person at the pharmacy would do
(fill, hand over to the carrier) is ordered through the control routes.
"""

from __future__ import annotations

import json
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from outside.faults import Faults, System, unreliable_router
from outside.once import KeyReusedError, Once
from outside.script import ACCEPTED, REJECTED, VERIFIED, Message, MessageError, read_message
from outside.webhooks import Webhooks


class FillStatus(StrEnum):
    DISPENSED = "Dispensed"
    PARTIALLY_DISPENSED = "PartiallyDispensed"
    NOT_DISPENSED = "NotDispensed"


class Fill(BaseModel):
    """What the pharmacist did with a NewRx. Lot, beyond-use date and quantity belong to what left the counter."""

    message_id: str
    at: AwareDatetime
    note: FillStatus = FillStatus.DISPENSED
    lot: str | None = None
    beyond_use_on: date | None = None
    quantity: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _dispensed_is_described(self) -> Fill:
        dispensed = self.note is not FillStatus.NOT_DISPENSED
        described = self.lot is not None and self.beyond_use_on is not None and self.quantity > 0
        if dispensed and not described:
            msg = f"{self.note} needs lot, beyond_use_on and a quantity above zero."
            raise ValueError(msg)
        return self


class Delivery(BaseModel):
    """What the carrier reports at the patient's door."""

    message_id: str
    at: AwareDatetime
    signed_by_adult: bool


class Pharmacy:
    """The messages this pharmacy has taken, and what it says about them."""

    def __init__(self, webhooks: Webhooks) -> None:
        self.messages: Once[dict[str, Any]] = Once()
        self.webhooks = webhooks
        self._filled: set[str] = set()

    def take(self, message: Message, raw: dict[str, Any]) -> dict[str, Any]:
        """Answer a message; the first time it is seen, a webhook follows. Raises MessageError."""
        message_id = message.header.message_id
        try:
            answer, _ = self.messages.answer(message_id, raw, lambda: self._act_on(message, raw["Header"]["SentTime"]))
        except KeyReusedError:
            raise MessageError(REJECTED, "Header.MessageID:reused_with_other_content") from None
        return answer

    def fill(self, fill: Fill) -> str:
        """Report a fill. A cancelled prescription can still be filled: it happens, and clients must notice."""
        content: dict[str, Any] = {"FillStatus": fill.note}
        if fill.note is not FillStatus.NOT_DISPENSED:
            self._filled.add(fill.message_id)
            content |= {
                "Quantity": fill.quantity,
                "LotNumber": fill.lot,
                "BeyondUseDate": fill.beyond_use_on.isoformat() if fill.beyond_use_on else None,
            }
        return self.webhooks.send(fill.message_id, fill.at.isoformat(), {"RxFill": content})

    def deliver(self, delivery: Delivery) -> str:
        """Report a delivery: a carrier's event, our own extension, for SCRIPT ends at the counter."""
        content = {"Delivered": {"SignedByAdult": delivery.signed_by_adult}}
        return self.webhooks.send(delivery.message_id, delivery.at.isoformat(), content)

    def is_prescription(self, message_id: str) -> bool:
        entry = self.messages.get(message_id)
        return entry is not None and "NewRx" in entry.request["Body"]

    def _act_on(self, message: Message, sent_time: str) -> dict[str, Any]:
        if message.body.new_rx is not None:
            content: dict[str, Any] = {"Verify": {"Code": VERIFIED}}
        else:
            content = {"CancelRxResponse": self._cancel(str(message.header.relates_to_message_id))}
        self.webhooks.send(message.header.message_id, sent_time, content)
        return {"Body": {"Status": {"Code": ACCEPTED}}}

    def _cancel(self, message_id: str) -> dict[str, str]:
        if not self.is_prescription(message_id):
            return {"Response": "Denied", "ReasonCode": "unknown_prescription"}
        if message_id in self._filled:
            return {"Response": "Denied", "ReasonCode": "already_dispensed"}
        return {"Response": "Approved"}


def client_routes(pharmacy: Pharmacy, faults: Faults) -> APIRouter:
    """Serve what a prescriber's system may call."""
    router = unreliable_router(System.PHARMACY, faults)

    @router.post("/messages")
    async def receive(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> JSONResponse:
        """202 with a Status, 422 with an Error. The same MessageID again gets the same answer."""
        body = await request.body()
        try:
            message = read_message(body, idempotency_key)
            return JSONResponse(pharmacy.take(message, json.loads(body)), status_code=202)
        except MessageError as e:
            return JSONResponse(e.answer(), status_code=422)

    @router.get("/messages/{message_id}")
    async def look_up(message_id: str) -> dict[str, Any]:
        """``{"Message": as received, "Status": {"Code"}}``, or 404: never received, so safe to send."""
        entry = pharmacy.messages.get(message_id)
        if entry is None:
            raise HTTPException(404, "No message with this MessageID was received.")
        return {"Message": entry.request, "Status": entry.answer["Body"]["Status"]}

    return router


def control_routes(pharmacy: Pharmacy) -> APIRouter:
    """Serve as the hands of the pharmacist and the carrier. Each order answers with the id of the webhook it caused."""
    router = APIRouter(prefix="/pharmacy/control")

    def require_prescription(message_id: str) -> None:
        if not pharmacy.is_prescription(message_id):
            raise HTTPException(404, "No NewRx with this message_id was received; send it first.")

    @router.post("/fill", status_code=202)
    async def fill(order: Fill) -> dict[str, str]:
        require_prescription(order.message_id)
        return {"webhook_id": pharmacy.fill(order)}

    @router.post("/deliver", status_code=202)
    async def deliver(order: Delivery) -> dict[str, str]:
        require_prescription(order.message_id)
        return {"webhook_id": pharmacy.deliver(order)}

    @router.get("/webhooks")
    async def webhooks() -> list[dict[str, Any]]:
        return pharmacy.webhooks.listing()

    return router
