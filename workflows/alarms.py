"""What a safety command does before any lock and whatever the log does: forbid dosing, and wake somebody (D12).

Remembers which pages no clinician has answered yet, so that an answer reaches every one of them.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

from domain.envelope import Role
from domain.journey import Journey, State
from domain.journey.holds import Hold, HoldKind, Holds
from domain.journey.safety import case_of
from domain.protocols import protocol
from runtime.names import ESCALATION_WORKFLOW, ESCALATIONS, escalation_workflow_id
from workflows.contracts import EscalationStart, JourneyStart


class Alarms:
    """The pending holds of one run, and the escalations of the journey."""

    def __init__(self, start: JourneyStart, unanswered: tuple[UUID, ...]) -> None:
        self._start = start
        self._pending: dict[UUID, datetime] = {}
        self.unanswered = list(unanswered)

    def sound(self, command_id: UUID, now: datetime, state: State) -> asyncio.Task[None]:
        """Hold and page in this very workflow task. The task returned ends when the escalation has been started."""
        case_id = case_of(command_id)
        self._pending[command_id] = now
        if case_id not in self.unanswered:
            self.unanswered.append(case_id)
        start = EscalationStart(
            journey_id=self._start.journey_id,
            case_id=case_id,
            raised_at=now,
            clock_shift_seconds=self._start.clock_shift_seconds,
        )
        if isinstance(state, Journey):
            minutes = protocol(state.policy_version).safety.page_answer_minutes
            start = start.model_copy(update={"page_again_minutes": minutes})
        return asyncio.create_task(_escalate(start))

    def recorded(self, command_id: UUID) -> None:
        """The safety command has its answer: from now on the hold stands in the state, or was never to be."""
        self._pending.pop(command_id, None)

    def under_pending_hold(self, state: State, own: UUID) -> Journey | None:
        """The state as it will be once the other safety commands are in the log; None when that changes nothing."""
        others = [at for command_id, at in self._pending.items() if command_id != own]
        if not others or not isinstance(state, Journey) or state.holds.has(HoldKind.SAFETY):
            return None
        pending = Hold(kind=HoldKind.SAFETY, placed_at=others[0], placed_by=Role.SYSTEM)
        return state.model_copy(update={"holds": Holds(open=(*state.holds.open, pending))})

    def call_off(self) -> asyncio.Task[None]:
        """A clinician has it in hand: stop every page of this journey."""
        answered, self.unanswered = tuple(self.unanswered), []
        return asyncio.create_task(self._tell_answered(answered))

    async def _tell_answered(self, case_ids: tuple[UUID, ...]) -> None:
        for case_id in case_ids:
            escalation = escalation_workflow_id(self._start.journey_id, case_id)
            try:
                await workflow.get_external_workflow_handle(escalation).signal("answered")
            except FailureError:
                workflow.logger.info("escalation_not_running")  # it was answered before


async def _escalate(start: EscalationStart) -> None:
    try:
        await workflow.start_child_workflow(
            ESCALATION_WORKFLOW,
            start,
            id=escalation_workflow_id(start.journey_id, start.case_id),
            task_queue=ESCALATIONS,
            # One command, one escalation: the API may have been faster, or this is the retry of an answered one.
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary="Page the clinician on call",
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("escalation_already_started")
