"""A submission that tells of danger: somebody is paged within seconds, whatever has failed (architecture D12).

The journey pages by itself. If it does not answer in time, this starts the same escalation; if Temporal does not
answer either, this calls the pager. Meanwhile the submission lies sealed on disk until the journey has it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse

from activities.wire import OutsideUnavailableError
from api.inbox import Submission
from api.ports import OutcomeUnknownError, Ports, StillWorkingError
from api.problems import ProblemError, unavailable
from api.submitting import accepted, answered, send
from domain.effects import EffectRejected, PageOnCall
from domain.envelope import CommandEnvelope
from domain.journey.safety import case_of
from runtime.logs import describe_error
from store.errors import StoreError
from vault.errors import KeyShreddedError, KeyUnknownError, VaultError
from workflows.contracts import CommandAnswer, EscalationStart

log = structlog.get_logger(__name__)

PAGE_AFTER_SECONDS = 3.0
ESCALATE_WITHIN_SECONDS: Final = 1.0
REPEAT_AFTER_SECONDS: Final = 5.0


async def submit_urgent(request: Request, ports: Ports, journey_id: UUID, envelope: CommandEnvelope) -> JSONResponse:
    """Send a command that calls for a page. Answers 200, 202, or a refusal; 503 only if nothing holds it."""
    sending = asyncio.create_task(send(ports, journey_id, envelope))
    await asyncio.wait({sending}, timeout=PAGE_AFTER_SECONDS)
    if _is_settled(sending):
        return _answer(request, journey_id, envelope, sending, paged=None)
    submission = Submission(
        journey_id=journey_id, case_id=case_of(envelope.command_id), raised_at=datetime.now(UTC), envelope=envelope
    )
    kept = await _keep(ports, submission)
    paged = await page(ports, submission)
    if kept and paged:
        await _keep(ports, submission.model_copy(update={"paged": True}))
    await asyncio.wait({sending})
    if _is_settled(sending):
        await ports.inbox.discard(submission)
        return _answer(request, journey_id, envelope, sending, paged=paged)
    _log_failure(sending, journey_id)
    if kept:
        return accepted(request, journey_id, envelope.command_id, "kept", paged=paged)
    raise unavailable(
        "We could not keep this. Send the same request with the same Idempotency-Key again, and call if it is urgent.",
        "OUTCOME_UNKNOWN",
        journey_id=journey_id,
    )


async def page(ports: Ports, submission: Submission) -> bool:
    """Start the escalation, or page without it; whether either took it."""
    journey_id, case_id, raised_at = submission.journey_id, submission.case_id, submission.raised_at
    ids = {"journey_id": journey_id, "case_id": case_id}
    start = EscalationStart(journey_id=journey_id, case_id=case_id, raised_at=raised_at)
    try:
        async with asyncio.timeout(ESCALATE_WITHIN_SECONDS):
            await ports.journeys.escalate(start)
    except (OutcomeUnknownError, TimeoutError, StoreError, VaultError):
        log.warning("escalation_not_started", **ids)
    else:
        log.info("escalation_started", **ids)
        return True
    # The key of the escalation's own first page: should both reach the pager, it rings once.
    key = f"{journey_id}.{case_id}.page.first.1"
    try:
        outcome = await ports.pager.send(key, PageOnCall(journey_id=journey_id, case_id=case_id, raised_at=raised_at))
    except OutsideUnavailableError:
        log.critical("page_not_sent", **ids)
        return False
    if isinstance(outcome, EffectRejected) and outcome.code != "http_409":  # 409: this page has been raised already
        log.critical("page_refused", code=outcome.code, **ids)
        return False
    log.warning("paged_directly", **ids)
    return True


async def deliver_kept(ports: Ports) -> None:
    """Pass on what was kept, and page for what nobody was paged for. One round; safe beside another process's."""
    for submission in await ports.inbox.all():
        if not submission.paged and await page(ports, submission):
            await _keep(ports, submission.model_copy(update={"paged": True}))
        sending = asyncio.create_task(send(ports, submission.journey_id, submission.envelope))
        await asyncio.wait({sending})
        if not _is_settled(sending):
            _log_failure(sending, submission.journey_id)
            continue
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


async def _keep(ports: Ports, submission: Submission) -> bool:
    try:
        await ports.inbox.keep(submission)
    except OSError as error:
        log.critical("submission_not_kept", journey_id=submission.journey_id, **describe_error(error))
        return False
    return True


def _log_failure(sending: asyncio.Task[CommandAnswer], journey_id: UUID) -> None:
    error = None if sending.cancelled() else sending.exception()
    log.error("urgent_submission_not_taken", journey_id=journey_id, **(describe_error(error) if error else {}))
