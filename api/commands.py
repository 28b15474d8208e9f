"""Writing: ``POST /journeys`` opens one, and each command of the registry has its own route with its own body.

The body is the command and nothing else; what belongs to the sending (key, purpose, time) travels in headers.
"""

# No postponed annotations here: FastAPI could not see the local ``model`` in that of ``send_command``.

import inspect
import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse
from uuid_utils.compat import uuid7

from api.access import Authenticated, PortsOf, PurposeOfUse, acting_as
from api.bodies import parse, read_body, read_moment
from api.digests import keyed_digest
from api.ports import NotRunningError, OutcomeUnknownError, RefusedError, StillWorkingError
from api.problems import ProblemError, documented, malformed
from api.submitting import (
    Accepted,
    Answer,
    accepted,
    answered,
    find_answer,
    key_reused,
    outcome_unknown,
    problem_of,
    submit,
)
from api.urgent import submit_urgent
from domain.envelope import Actor, CommandEnvelope, Purpose
from domain.journey import COMMANDS, Command
from domain.journey.referral import SubmitReferral
from domain.journey.safety import urgent_tier
from domain.values import Instant, Value
from workflows.contracts import JourneyStart
from workflows.ledger import request_digest

_SHIFT_SECONDS_MAX: Final = 100 * 366 * 86_400.0

IdempotencyKey = Annotated[
    UUID,
    Header(
        alias="Idempotency-Key",
        description="A UUID of your own for this one command. The same request again has the same effect once.",
    ),
]
OccurredAt = Annotated[
    str | None,
    Header(alias="Occurred-At", description="When it happened (RFC 3339, with offset). Left out: now."),
]


class Sending(Value):
    """What belongs to the sending of a command and not to the command."""

    command_id: UUID
    purpose: Purpose
    occurred_at: Instant | None


def sending(
    idempotency_key: IdempotencyKey, occurred_at: OccurredAt = None, purpose: PurposeOfUse = Purpose.TREAT
) -> Sending:
    """Read the headers that every command has. Raises ProblemError 422."""
    return Sending(command_id=idempotency_key, purpose=purpose, occurred_at=read_moment(occurred_at))


SendingOf = Annotated[Sending, Depends(sending)]
ClockShift = Annotated[
    float | None,
    Header(alias="Clock-Shift-Seconds", description="Simulated mode only: how far this journey's clock lies back."),
]
Endpoint = Callable[..., Awaitable[JSONResponse]]


def command_routes() -> APIRouter:
    """Make a route for opening a journey and one for each further command."""
    router = APIRouter()
    router.add_api_route(
        "/journeys",
        _open,
        methods=["POST"],
        status_code=201,
        response_model=Answer,
        responses=documented(401, 403, 409, 422, 503)
        | {200: {"model": Answer, "description": "Opened by this same request before"}, 202: {"model": Accepted}},
        **_described(SubmitReferral),
    )
    for name, command in COMMANDS.items():
        if command is not SubmitReferral:
            router.add_api_route(
                f"/journeys/{{journey_id}}/commands/{name}",
                _endpoint(command),
                methods=["POST"],
                response_model=Answer,
                responses=documented(401, 403, 404, 409, 422, 503) | {202: {"model": Accepted}},
                **_described(command),
            )
    # Last, for it fits every name; without it the answer would be that of the GET at this address.
    router.add_api_route("/journeys/{journey_id}/commands/{name}", _unknown, methods=["POST"], include_in_schema=False)
    return router


async def _unknown(_: Authenticated) -> None:
    raise ProblemError(404, "UNKNOWN_COMMAND", "There is no such command. /docs lists them; nothing was recorded.")


def _described(command: type[Command]) -> dict[str, Any]:
    text = inspect.cleandoc(command.__doc__ or "")
    return {
        "name": command.name,
        "operation_id": command.name,
        "tags": ["commands"],
        "summary": command.name.replace("_", " ").capitalize(),
        "description": f"{text}\n\nSent by: {', '.join(sorted(command.roles))}.",
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{command.__name__}"}}},
            }
        },
    }


def _endpoint(model: type[Command]) -> Endpoint:
    async def send_command(
        request: Request,
        journey_id: UUID,
        ports: PortsOf,
        actor: Annotated[Actor, Depends(acting_as(model.roles))],
        sending: SendingOf,
    ) -> JSONResponse:
        command = parse(model, await read_body(request))
        deliver = submit if urgent_tier(command) is None else submit_urgent
        return await deliver(request, ports, journey_id, _envelope(command, actor, sending))

    return send_command


def _envelope(command: Command, actor: Actor, sending: Sending) -> CommandEnvelope:
    """Put together what travels.

    Only what the client said: a default that the next build changes must not make a retry differ.
    """
    return CommandEnvelope(
        command_id=sending.command_id,
        name=command.name,
        actor=actor,
        purpose=sending.purpose,
        occurred_at=sending.occurred_at,
        body=command.model_dump(mode="json", exclude_unset=True),
    )


async def _open(
    request: Request,
    ports: PortsOf,
    actor: Annotated[Actor, Depends(acting_as(SubmitReferral.roles))],
    sending: SendingOf,
    clock_shift: ClockShift = None,
) -> JSONResponse:
    shift = _checked_shift(clock_shift, simulated=ports.settings.simulated)
    command = parse(SubmitReferral, await read_body(request))
    envelope = _envelope(command, actor, sending)
    asked = f"{request_digest(envelope)}/{shift!r}"
    digest = keyed_digest(await ports.keys.system_key(), "opening", asked)
    opened = await ports.keys.open_journey(uuid7(), actor.subject, sending.command_id, digest)
    if opened.request_digest != digest:
        raise key_reused(opened.journey_id)
    start = JourneyStart(
        journey_id=opened.journey_id,
        patient_id=opened.patient_id,
        key_version=opened.key_version,
        clock_shift_seconds=shift,
        simulated=ports.settings.simulated,
    )
    # A request that was answered before is answered from the log: its journey may have closed since.
    known = await find_answer(ports, opened.journey_id, sending.command_id) if opened.already else None
    if known is not None:
        return answered(request, known)
    try:
        return answered(request, await ports.journeys.open(start, envelope), 201)
    except RefusedError as refused:
        raise problem_of(refused, opened.journey_id) from None
    except StillWorkingError:
        return accepted(request, opened.journey_id, sending.command_id, "accepted", paged=None)
    except (OutcomeUnknownError, NotRunningError):
        raise outcome_unknown() from None


def _checked_shift(seconds: float | None, *, simulated: bool) -> float:
    """Give the shift, 0 when none is asked for. Raises ProblemError 422 outside of simulated mode."""
    if seconds is None:
        return 0.0
    if not simulated:
        detail = "Clock-Shift-Seconds is for simulated mode; leave it out. Nothing was recorded."
        raise ProblemError(422, "NOT_SIMULATED", detail)
    if not math.isfinite(seconds) or abs(seconds) > _SHIFT_SECONDS_MAX:
        message = "Input should be a number of seconds within a century"
        raise malformed([{"loc": ("clock-shift-seconds",), "type": "out_of_range", "msg": message}], "header")
    return seconds
