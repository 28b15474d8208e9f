"""Takes one command to its journey and puts what comes of it into HTTP's words.

202 only when the command stands in Temporal's history; in doubt 503, and the same key may be sent again (D5, §3).
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse

from api.crisis import Crisis, crisis_for
from api.ports import NotRunningError, OutcomeUnknownError, Ports, RefusedError, StillWorkingError
from api.problems import ProblemError, unavailable, unknown_journey
from domain.codes import Code
from domain.envelope import CommandEnvelope
from domain.values import Value
from workflows.contracts import CommandAnswer
from workflows.ledger import request_digest

log = structlog.get_logger(__name__)

_STATUS: Final = {
    Code.ROLE: 403,
    Code.NOT_A_PARTICIPANT: 403,
    Code.INVALID_ANSWERS: 422,
    "MALFORMED": 422,
    Code.LOG_STALLED: 503,
    Code.LEDGER_DIVERGED: 503,
}
"""Refusals that are no 409."""


class Answer(CommandAnswer):
    """What an accepted command came to. ``sequence`` is the journey's version after it."""

    crisis: Crisis | None = None


class Accepted(Value):
    """The command is safe and will be answered: by a GET of ``Location``, or by sending the same request again.

    ``accepted``: it stands in the journey's history. ``kept``: Temporal does not answer, we keep it and pass it on.
    ``paged``: whether the clinician on call has been paged for it.
    """

    journey_id: UUID
    command_id: UUID
    status: Literal["accepted", "kept"]
    paged: bool | None = None
    crisis: Crisis | None = None


def answered(request: Request, answer: CommandAnswer, status: int = 200) -> JSONResponse:
    """Write the answer; a new journey's with where it is."""
    headers = {"Cache-Control": "no-store"}
    if status == 201:
        headers["Location"] = f"/journeys/{answer.journey_id}"
    body = Answer(**dict(answer), crisis=crisis_for(request.url.path))
    return JSONResponse(body.model_dump(mode="json", exclude_none=True), status, headers)


def accepted(
    request: Request, journey_id: UUID, command_id: UUID, status: Literal["accepted", "kept"], *, paged: bool | None
) -> JSONResponse:
    """Write 202, with where the answer will be."""
    body = Accepted(
        journey_id=journey_id, command_id=command_id, status=status, paged=paged, crisis=crisis_for(request.url.path)
    )
    headers = {"Location": f"/journeys/{journey_id}/commands/{command_id}", "Cache-Control": "no-store"}
    return JSONResponse(body.model_dump(mode="json", exclude_none=True), 202, headers)


async def send(ports: Ports, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
    """Send a command to a journey that should be running.

    Raises:
        ProblemError: it was refused, there is no such journey, or the outcome is unknown.
        StillWorkingError: it stands in history and is not answered yet.
        StoreUnavailableError, VaultError: from the key store.

    """
    try:
        return await ports.journeys.send(journey_id, envelope)
    except RefusedError as refused:
        raise problem_of(refused, journey_id) from None
    except OutcomeUnknownError:
        raise outcome_unknown() from None
    except NotRunningError:
        return await _answer_for(ports, journey_id, envelope)


def problem_of(refused: RefusedError, journey_id: UUID) -> ProblemError:
    """Put a journey's refusal into HTTP's words; its message says what to do and holds nothing about the patient."""
    status = _STATUS.get(refused.code, 409)
    headers = {"Retry-After": "5"} if status == 503 else {}
    detail = refused.message
    if refused.code == Code.NOT_A_PARTICIPANT:
        detail += "; if you hold another role, name it in Acting-Role"
    return ProblemError(status, refused.code, detail, headers=headers, journey_id=journey_id)


def outcome_unknown() -> ProblemError:
    """Temporal did not say whether it has the command."""
    return unavailable(
        "We cannot tell whether this arrived. Send the same request with the same Idempotency-Key again: it takes "
        "effect once.",
        "OUTCOME_UNKNOWN",
    )


async def _answer_for(ports: Ports, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
    """Answer for a journey that does not run: what the log knows of this command, else why it does not run."""
    found = await find_answer(ports, journey_id, envelope.command_id, request_digest(envelope))
    if found is not None:
        return found
    summary = await ports.lists.summary(journey_id)
    if summary is None:
        raise unknown_journey()
    if summary.closed_at is not None:
        detail = "This journey is closed; a new referral opens a new one."
        raise ProblemError(409, Code.JOURNEY_CLOSED, detail, journey_id=journey_id)
    log.warning("journey_not_running", journey_id=journey_id)
    raise unavailable(
        "This journey is being brought back; nothing is lost. Send the same request again in a minute.",
        "NOT_RUNNING",
        journey_id=journey_id,
    )


async def find_answer(
    ports: Ports, journey_id: UUID, command_id: UUID, digest: str | None = None
) -> CommandAnswer | None:
    """Find in the log what a command came to. Raises ProblemError KEY_REUSED when it was another request."""
    key = await ports.keys.key_for_journey(journey_id)
    receipt = await ports.log.receipt(journey_id, command_id, key)
    if receipt is None:
        return None
    if digest is not None and receipt.request_digest not in {None, digest}:
        raise key_reused(journey_id)
    return CommandAnswer(journey_id=journey_id, command_id=command_id, sequence=receipt.last, events=receipt.types)


def key_reused(journey_id: UUID | None = None) -> ProblemError:
    """One key, two requests."""
    detail = "This Idempotency-Key was used for another request; take a new one."
    return ProblemError(409, Code.KEY_REUSED, detail, journey_id=journey_id)


async def submit(request: Request, ports: Ports, journey_id: UUID, envelope: CommandEnvelope) -> JSONResponse:
    """Send a command that may wait, and answer. Raises ProblemError."""
    try:
        return answered(request, await send(ports, journey_id, envelope))
    except StillWorkingError:
        return accepted(request, journey_id, envelope.command_id, "accepted", paged=None)
