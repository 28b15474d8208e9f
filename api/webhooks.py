"""What the pharmacy tells us: verified, put into the domain's words, and in the journey's history before we say 202.

A fact is never refused (architecture D5). What the domain has no word for is still told, as a status that no
prescription of ours expects: the journey keeps it as an anomaly, and a person looks.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

from api.access import PortsOf
from api.bodies import COMMAND_BYTES_MAX, parse, read_body
from api.ports import NotRunningError, OutcomeUnknownError, Ports
from api.problems import ProblemError, documented, unavailable, unknown_journey
from domain.effects import journey_of
from domain.envelope import FactEnvelope
from domain.journey.dispensing import PharmacyDeliveryReported, PharmacyFillReported, PharmacyStatusReceived
from domain.journey.messages import Fact
from domain.values import Instant
from runtime.webhooks import verify_signature

log = structlog.get_logger(__name__)

SOURCE = "pharmacy"
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,140}$")]
ScriptCode = Annotated[str, StringConstraints(pattern=r"^[\w.:/$ -]{1,120}$")]


class Element(BaseModel):
    """An element of a SCRIPT-style message. Elements that we do not know are other versions' and are ignored."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True, strict=True)


class ScriptHeader(Element):
    message_id: Id = Field(alias="MessageID")
    relates_to_message_id: Id = Field(alias="RelatesToMessageID")
    sent_time: Instant


class Coded(Element):
    code: ScriptCode
    description_code: ScriptCode | None = None


class RxFill(Element):
    fill_status: Literal["Dispensed", "PartiallyDispensed", "NotDispensed"]
    quantity: int = Field(default=0, ge=0)
    lot_number: ScriptCode | None = None
    beyond_use_date: date | None = None


class Delivered(Element):
    signed_by_adult: bool


class CancelRxResponse(Element):
    response: Literal["Approved", "Denied"]
    reason_code: ScriptCode | None = None


class ScriptBody(Element):
    """Exactly one of these."""

    status: Coded | None = None
    verify: Coded | None = None
    error: Coded | None = None
    rx_fill: RxFill | None = None
    delivered: Delivered | None = None
    cancel_rx_response: CancelRxResponse | None = None

    @model_validator(mode="after")
    def _holds_one_message(self) -> ScriptBody:
        if sum(part is not None for part in self.__dict__.values()) != 1:
            known = ", ".join(field.alias or "" for field in type(self).model_fields.values())
            raise PydanticCustomError("one_message", "Body should hold exactly one of {known}", {"known": known})
        return self


class ScriptMessage(Element):
    """A SCRIPT-style message from the pharmacy about a NewRx or CancelRx of ours."""

    header: ScriptHeader
    body: ScriptBody


def fact_of(message: ScriptMessage) -> Fact:
    """Put a message into the domain's words."""
    key, body = message.header.relates_to_message_id, message.body
    if (fill := body.rx_fill) is not None:
        return PharmacyFillReported(
            key=key,
            note=fill.fill_status,
            lot=fill.lot_number,
            quantity=fill.quantity,
            beyond_use_on=fill.beyond_use_date,
        )
    if body.delivered is not None:
        return PharmacyDeliveryReported(key=key, signed_by_adult=body.delivered.signed_by_adult)
    if body.error is not None:
        return PharmacyStatusReceived(key=key, code=_joined(body.error), accepted=False)
    if (cancel := body.cancel_rx_response) is not None:
        code = f"CancelRxResponse:{cancel.response}"
        return PharmacyStatusReceived(key=key, code=code, accepted=cancel.response == "Approved")
    taken = body.status or body.verify
    assert taken is not None
    return PharmacyStatusReceived(key=key, code=taken.code, accepted=True)


def _joined(coded: Coded) -> str:
    return f"{coded.code}:{coded.description_code}" if coded.description_code else coded.code


router = APIRouter(tags=["webhooks"])


@router.post(
    "/webhooks/pharmacy",
    status_code=202,
    responses=documented(401, 404, 422, 503),
    summary="Tell what became of a prescription",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ScriptMessage"}}},
        }
    },
)
async def pharmacy(
    request: Request,
    ports: PortsOf,
    timestamp: Annotated[str, Header(alias="X-Pharmacy-Timestamp", description="Unix time, whole seconds")] = "",
    signature: Annotated[str, Header(alias="X-Pharmacy-Signature", description="v1=HMAC-SHA256, in hex")] = "",
) -> Response:
    """Take one signed message. 202 when it is in the journey's history; anything else may be sent again."""
    raw = await read_body(request, COMMAND_BYTES_MAX)
    secret = ports.settings.need("pharmacy_webhook_secret")
    if not verify_signature(secret, timestamp, raw, signature, now=datetime.now(UTC)):
        detail = "The signature does not fit this body and time. Sign <timestamp>.<body> with the shared secret."
        raise ProblemError(401, "BAD_SIGNATURE", detail, headers={"WWW-Authenticate": 'Signature realm="pharmacy"'})
    message = parse(ScriptMessage, raw)
    await _report(ports, message)
    return Response(status_code=202)


async def _report(ports: Ports, message: ScriptMessage) -> None:
    fact = fact_of(message)
    try:
        journey_id = journey_of(message.header.relates_to_message_id)
    except ValueError:
        raise unknown_journey() from None
    envelope = FactEnvelope(
        fact_id=message.header.message_id,
        name=fact.name,
        source=SOURCE,
        occurred_at=message.header.sent_time,
        body=fact.model_dump(mode="json"),
    )
    try:
        await ports.journeys.report(journey_id, envelope)
    except OutcomeUnknownError:
        raise unavailable("The journey does not answer. Send the same message again.", journey_id=journey_id) from None
    except NotRunningError:
        raise await _undeliverable(ports, journey_id) from None
    log.info("fact_received", journey_id=journey_id, signal_name=fact.name, system=SOURCE)


async def _undeliverable(ports: Ports, journey_id: UUID) -> ProblemError:
    """Say why nobody takes it. That a closed journey still hears of a drug is for a person to look at."""
    summary = await ports.lists.summary(journey_id)
    if summary is None:
        return unknown_journey()
    if summary.closed_at is not None:
        log.error("fact_for_closed_journey", journey_id=journey_id, system=SOURCE)
        more: dict[str, Any] = {"journey_id": journey_id}
        return ProblemError(404, "JOURNEY_CLOSED", "This journey is closed. Call the practice about it.", **more)
    return unavailable("This journey is being brought back. Send the same message again.", journey_id=journey_id)
