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
from workflows.contracts import CommandAnswer, EscalationStart, JourneyStart

_REFUSALS: Final = frozenset(Code) | {"MALFORMED"}
_SIGNAL_WITHIN: Final = timedelta(seconds=5)

Handle = WorkflowUpdateHandle[CommandAnswer]


class TemporalJourneys:
    """``timeout_seconds`` bounds the wait for a command's answer, from sending to result."""

    def __init__(self, client: Client, timeout_seconds: float) -> None:
        self._client = client
        self._timeout = timeout_seconds

    async def open(self, start: JourneyStart, envelope: CommandEnvelope) -> CommandAnswer:
        """Update-with-start: one request that starts the journey and sends its first command, once."""
        workflow_id = journey_workflow_id(start.journey_id)
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
                id=str(envelope.command_id),
                result_type=CommandAnswer,
                rpc_timeout=timedelta(seconds=self._timeout),
            )

        try:
            return await self._answer(begin)
        finally:
            _retrieve(operation)

    async def send(self, journey_id: UUID, envelope: CommandEnvelope) -> CommandAnswer:
        """Update the journey's latest run."""

        async def begin() -> Handle:
            return await self._client.get_workflow_handle(journey_workflow_id(journey_id)).start_update(
                envelope.name,
                envelope,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                id=str(envelope.command_id),
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
