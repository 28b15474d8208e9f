"""A submission that tells of danger: somebody is paged within seconds, whatever has failed (architecture D12).

The journey pages by itself. If it does not answer in time, this starts the same escalation. In any case the pager is
asked, and called when it knows of nothing (``api.paging``). Meanwhile the submission lies sealed on disk until the
journey and the pager have it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse

from api.inbox import Submission
from api.paging import Confirmations, confirm, keep, page
from api.ports import Ports, StillWorkingError
from api.problems import ProblemError, unavailable
from api.submitting import accepted, answered, send
from domain.envelope import CommandEnvelope
from domain.journey.safety import case_of
from runtime.logs import describe_error
from vault.errors import KeyShreddedError, KeyUnknownError
from workflows.contracts import CommandAnswer

log = structlog.get_logger(__name__)

PAGE_AFTER_SECONDS = 3.0
REPEAT_AFTER_SECONDS: Final = 5.0


async def submit_urgent(request: Request, ports: Ports, journey_id: UUID, envelope: CommandEnvelope) -> JSONResponse:
    """Send a command that calls for a page. Answers 200, 202, or a refusal; 503 only if nothing holds it."""
    submission = Submission(
        journey_id=journey_id, case_id=case_of(envelope.command_id), raised_at=datetime.now(UTC), envelope=envelope
    )
    confirmations = cast("Confirmations", request.app.state.confirmations)
    sending = asyncio.create_task(send(ports, journey_id, envelope))
    await asyncio.wait({sending}, timeout=PAGE_AFTER_SECONDS)
    if _is_settled(sending):
        paged = await confirm(ports, submission) if _is_working(sending) else None
        if not paged and _is_taken(sending):
            confirmations.start(ports, submission)
        return _answer(request, journey_id, envelope, sending, paged=paged)
    kept = await keep(ports, submission)
    paged = await page(ports, submission)
    if kept and paged:
        await keep(ports, submission.model_copy(update={"paged": True}))
    await asyncio.wait({sending})
    if _is_settled(sending) and (paged or not _is_taken(sending)):
        await ports.inbox.discard(submission)
    elif not paged and not kept:
        confirmations.start(ports, submission)
    if _is_settled(sending):
        return _answer(request, journey_id, envelope, sending, paged=paged)
    _log_failure(sending, journey_id)
    if kept:
        return accepted(request, journey_id, envelope.command_id, "kept", paged=paged)
    raise unavailable(
        "We could not keep this. Send the same request with the same Idempotency-Key again, and call if it is urgent.",
        "OUTCOME_UNKNOWN",
        journey_id=journey_id,
    )


async def deliver_kept(ports: Ports) -> None:
    """Pass on what was kept, and page for what nobody was paged for. One round; safe beside another process's."""
    for submission in await ports.inbox.all():
        paged = submission.paged or await page(ports, submission)
        if paged and not submission.paged:
            await keep(ports, submission.model_copy(update={"paged": True}))
        sending = asyncio.create_task(send(ports, submission.journey_id, submission.envelope))
        await asyncio.wait({sending})
        if not _is_settled(sending):
            _log_failure(sending, submission.journey_id)
            continue
        if not paged and _is_taken(sending):
            continue  # the journey has it, but nobody is awake: sending it again then changes nothing
        await ports.inbox.discard(submission)
        error = sending.exception()
        code = error.code if isinstance(error, ProblemError) else "ACCEPTED"
        ids = {"journey_id": submission.journey_id, "command_id": submission.envelope.command_id}
        log.info("kept_submission_delivered", code=code, **ids)


async def keep_delivering(ports: Ports) -> None:
    """Do it for as long as this process lives."""
    while True:
        try:
            await deliver_kept(ports)
        except Exception:
            log.exception("kept_submissions_not_delivered")
        await asyncio.sleep(REPEAT_AFTER_SECONDS)


def _is_settled(sending: asyncio.Task[CommandAnswer]) -> bool:
    """Whether the journey has it or has refused it; an outage settles nothing, nor does a bug."""
    if not sending.done() or sending.cancelled():
        return False
    match sending.exception():
        case None | StillWorkingError() | KeyUnknownError() | KeyShreddedError():
            return True
        case ProblemError(status=status):
            return status < 500
        case _:
            return False


def _is_taken(sending: asyncio.Task[CommandAnswer]) -> bool:
    """Whether the journey has it: only a command that was not refused is paged for afterwards."""
    return not sending.cancelled() and (sending.exception() is None or _is_working(sending))


def _is_working(sending: asyncio.Task[CommandAnswer]) -> bool:
    return isinstance(sending.exception(), StillWorkingError)


def _answer(
    request: Request,
    journey_id: UUID,
    envelope: CommandEnvelope,
    sending: asyncio.Task[CommandAnswer],
    *,
    paged: bool | None,
) -> JSONResponse:
    try:
        return answered(request, sending.result())
    except StillWorkingError:
        return accepted(request, journey_id, envelope.command_id, "accepted", paged=paged)


def _log_failure(sending: asyncio.Task[CommandAnswer], journey_id: UUID) -> None:
    error = None if sending.cancelled() else sending.exception()
    log.error("urgent_submission_not_taken", journey_id=journey_id, **(describe_error(error) if error else {}))
