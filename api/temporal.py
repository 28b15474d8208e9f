"""The running journeys, reached through Temporal: ``Journeys`` of ``api.ports``, for real.

Every wait is bounded by one deadline per request. The SDK turns a cancelled wait into its own error, so both are
caught; whether a command arrived is known only once it was accepted into history.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.digests import keyed_digest
from api.ports import NotRunningError, OutcomeUnknownError, RefusedError, StillWorkingError
from domain.codes import Code
from domain.envelope import CommandEnvelope, FactEnvelope
from runtime.names import (
    ESCALATION_WORKFLOW,
    ESCALATIONS,
    JOURNEY_WORKFLOW,
    JOURNEYS,
    escalation_workflow_id,
    journey_workflow_id,
)
from vault.keys import KeySource
from workflows.contracts import CommandAnswer, EscalationStart, JourneyStart
from workflows.ledger import request_digest

_REFUSALS: Final = frozenset(Code) | {"MALFORMED"}
_SIGNAL_WITHIN: Final = timedelta(seconds=5)

Handle = WorkflowUpdateHandle[CommandAnswer]


class TemporalJourneys:
    """``timeout_seconds`` bounds the wait for a command's answer, from sending to result.

    Temporal answers a known update id with the earlier outcome, whatever the new request asks. So the id holds a keyed
    digest of the request beside the command id: another request under the same key reaches the journey, which says no.
    """

    def __init__(self, client: Client, keys: KeySource, timeout_seconds: float) -> None:
        self._client = client
        self._keys = keys
        self._timeout = timeout_seconds

    async def open(self, start: JourneyStart, envelope: CommandEnvelope) -> CommandAnswer:
        """Update-with-start: one request that starts the journey and sends its first command, once."""
        workflow_id, update_id = (
            journey_workflow_id(start.journey_id),
            await self._update_id(start.journey_id, envelope),
        )
        operation: WithStartWorkflowOperation[object, int] = WithStartWorkflowOperation(
            JOURNEY_WORKFLOW,
            start,
            id=workflow_id,
            task_queue=JOURNEYS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary="Care journey",
        )

        async def begin() -> Handle:
            return await self._client.start_update_with_start_workflow(
                envelope.name,
                envelope,
                start_workflow_operation=operation,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                id=update_id,
                result_type=CommandAnswer,
                rpc_timeout=timedelta(seconds=self._timeout),
            )

        try:
            return await self._answer(begin)
        finally:
            _retrieve(operation)

    async def send(self, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
        """Update the journey's latest run."""
        update_id = await self._update_id(journey_id, envelope)

        async def begin() -> Handle:
            return await self._client.get_workflow_handle(journey_workflow_id(journey_id)).start_update(
                envelope.name,
                envelope,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                id=update_id,
                result_type=CommandAnswer,
                rpc_timeout=timedelta(seconds=self._timeout),
            )

        return await self._answer(begin)

    async def report(self, journey_id: UUID, fact: FactEnvelope) -> None:
        """Signal the journey."""
        handle = self._client.get_workflow_handle(journey_workflow_id(journey_id))
        async with _translated():
            await handle.signal(fact.name, fact, rpc_timeout=_SIGNAL_WITHIN)

    async def escalate(self, start: EscalationStart) -> None:
        """Start the escalation that the journey would start; an answered one is not started again."""
        async with _translated():
            try:
                await self._client.start_workflow(
                    ESCALATION_WORKFLOW,
                    start,
                    id=escalation_workflow_id(start.journey_id, start.case_id),
                    task_queue=ESCALATIONS,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary="Page the clinician on call",
                    rpc_timeout=_SIGNAL_WITHIN,
                )
            except WorkflowAlreadyStartedError:
                return

    async def _update_id(self, journey_id: UUID, envelope: CommandEnvelope) -> str:
        key = await self._keys.key_for_journey(journey_id)
        return f"{envelope.command_id}.{keyed_digest(key, 'update', request_digest(envelope))[:16]}"

    async def _answer(self, begin: Callable[[], Awaitable[Handle]]) -> CommandAnswer:
        deadline = asyncio.get_running_loop().time() + self._timeout
        async with _translated():
            async with asyncio.timeout_at(deadline):
                handle = await begin()
        try:
            async with asyncio.timeout_at(deadline):
                return await handle.result(rpc_timeout=timedelta(seconds=self._timeout))
        except WorkflowUpdateFailedError as failed:
            raise _refused(failed) from None
        except (RPCTimeoutOrCancelledError, TimeoutError, RPCError):
            raise StillWorkingError from None


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Tell apart a journey that does not run, a refusal before acceptance, and no answer."""
    try:
        yield
    except WorkflowUpdateFailedError as failed:
        raise _refused(failed) from None
    except WorkflowAlreadyStartedError:
        raise NotRunningError from None
    except (RPCTimeoutOrCancelledError, TimeoutError):
        raise OutcomeUnknownError from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotRunningError from None
        raise OutcomeUnknownError from error


def _refused(failed: WorkflowUpdateFailedError) -> Exception:
    """Give the journey's refusal; a failure that is none is a bug, and stays what it is."""
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
        return RefusedError(str(cause.type), cause.message)
    return failed


def _retrieve(operation: WithStartWorkflowOperation[object, int]) -> None:
    """Look at the operation's own copy of a failure, or asyncio complains that nobody did."""
    future = operation._workflow_handle  # noqa: SLF001  the public way waits for ever when nothing was sent
    if future.done() and not future.cancelled():
        future.exception()
