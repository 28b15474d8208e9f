"""Sees that somebody is paged, and believes nobody but the pager.

That a workflow was started wakes no one while its worker is down. So for every submission that tells of danger the
pager itself is asked for the first page; when it has none, this raises it, under the key that the escalation uses.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from activities.wire import OutsideUnavailableError
from api.inbox import Submission
from api.ports import OutcomeUnknownError, Ports
from domain.effects import EffectRejected, Paged, PageOnCall
from runtime.logs import describe_error
from store.errors import StoreError
from vault.errors import VaultError
from workflows.contracts import EscalationStart

log = structlog.get_logger(__name__)

ESCALATE_WITHIN_SECONDS: Final = 1.0
LOOK_UP_WITHIN_SECONDS: Final = 2.0
SEND_WITHIN_SECONDS: Final = 5.0
CONFIRM_EVERY_SECONDS = 2.0
"""Also before the first look: the escalation of a journey that answers pages within that time."""
CONFIRM_FOR_SECONDS = 30.0


async def page(ports: Ports, submission: Submission) -> bool:
    """Start the escalation, and page whatever came of that; whether the pager has the page."""
    start = EscalationStart(
        journey_id=submission.journey_id, case_id=submission.case_id, raised_at=submission.raised_at
    )
    try:
        async with asyncio.timeout(ESCALATE_WITHIN_SECONDS):
            await ports.journeys.escalate(start)
    except (OutcomeUnknownError, TimeoutError, StoreError, VaultError):
        log.warning("escalation_not_started", **_ids(submission))
    else:
        log.info("escalation_started", **_ids(submission))
    return await confirm(ports, submission)


async def confirm(ports: Ports, submission: Submission) -> bool:
    """Ask the pager for the case's first page, and raise it when it has none; whether the pager has it."""
    # The key of the escalation's own first page (`EscalationWorkflow._key`): should both page, it rings once.
    key = f"{submission.journey_id}.{submission.case_id}.page.first.1"
    request = PageOnCall(journey_id=submission.journey_id, case_id=submission.case_id, raised_at=submission.raised_at)
    if await _is_raised(ports, key, request):
        log.info("page_confirmed", **_ids(submission))
        return True
    try:
        async with asyncio.timeout(SEND_WITHIN_SECONDS):
            outcome = await ports.pager.send(key, request)
    except (OutsideUnavailableError, TimeoutError):
        log.critical("page_not_sent", **_ids(submission))
        return False
    if isinstance(outcome, EffectRejected) and outcome.code != "http_409":  # 409: this page has been raised already
        log.critical("page_refused", code=outcome.code, **_ids(submission))
        return False
    log.warning("paged_directly", **_ids(submission))
    return True


async def _is_raised(ports: Ports, key: str, request: PageOnCall) -> bool:
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN_SECONDS):
            return isinstance(await ports.pager.lookup(key, request), Paged)
    except (OutsideUnavailableError, TimeoutError):
        return False  # sending says more


class Confirmations:
    """The submissions that have their answer while the pager is still being asked for their page."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], tuple[Ports, Submission]] = {}

    def start(self, ports: Ports, submission: Submission) -> None:
        """Confirm the page of a submission that the journey has, without keeping anybody waiting."""
        task = asyncio.create_task(_keep_confirming(ports, submission))
        self._running[task] = (ports, submission)
        task.add_done_callback(self._running.pop)

    async def finish(self) -> None:
        """Wait until each is confirmed, or kept because the pager did not take it."""
        await asyncio.gather(*self._running)

    async def stop(self) -> None:
        """End them all; those that are not confirmed yet are kept for the next process."""
        running = dict(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task, (ports, submission) in running.items():
            if task.cancelled():
                await keep(ports, submission)


async def _keep_confirming(ports: Ports, submission: Submission) -> None:
    """Confirm for half a minute; what the pager has not taken by then is kept."""
    paged = False
    try:
        async with asyncio.timeout(CONFIRM_FOR_SECONDS):
            while not paged:
                await asyncio.sleep(CONFIRM_EVERY_SECONDS)
                paged = await confirm(ports, submission)
    except Exception:  # the time is up, or there is a bug: somebody must be paged in either case
        log.exception("page_not_confirmed", **_ids(submission))
        await keep(ports, submission)


async def keep(ports: Ports, submission: Submission) -> bool:
    """Put a submission into the inbox, from where it is paged for and sent until both are done; whether it is there."""
    try:
        await ports.inbox.keep(submission)
    except OSError as error:
        log.critical("submission_not_kept", journey_id=submission.journey_id, **describe_error(error))
        return False
    return True


def _ids(submission: Submission) -> dict[str, object]:
    return {"journey_id": submission.journey_id, "case_id": submission.case_id}
