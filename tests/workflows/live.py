"""One running journey, as the API and the outside see it, and a test a little more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import WorkflowSerializationContext

from domain import journey as rules
from domain.envelope import Actor, CommandEnvelope, FactEnvelope, Role
from domain.journey import Command, Journey, State
from domain.journey.safety import case_of
from runtime.names import JOURNEY_WORKFLOW, JOURNEYS, escalation_workflow_id, journey_workflow_id
from tests.domain.stages import REFERRAL
from tests.workflows.asking import ask, code_of, eventually, refusal_code
from tests.workflows.fakes import Stream
from workflows.contracts import CommandAnswer, JourneySnapshot, JourneyStart

if TYPE_CHECKING:
    from tests.workflows.clinic import Clinic


class Live:
    """A journey that was started, or is about to be."""

    def __init__(self, clinic: Clinic, start: JourneyStart) -> None:
        self.clinic = clinic
        self.start = start
        self.id = start.journey_id
        self.handle: WorkflowHandle[Any, Any] = clinic.client.get_workflow_handle(journey_workflow_id(self.id))

    # --- what is said to it ---------------------------------------------------------------------------------------

    async def open(self, *, command_id: UUID | None = None) -> CommandAnswer:
        """Submit the referral, as the API does."""
        envelope = ask(REFERRAL, Role.THERAPIST, command_id=command_id)
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            JOURNEY_WORKFLOW,
            self.start,
            id=self.handle.id,
            task_queue=JOURNEYS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        answer: CommandAnswer = await self.clinic.client.execute_update_with_start_workflow(
            envelope.name,
            envelope,
            id=str(envelope.command_id),
            start_workflow_operation=start,
            result_type=CommandAnswer,
        )
        return answer

    async def send(self, command: Command | CommandEnvelope, by: Role | Actor | None = None) -> CommandAnswer:
        """Send a command and wait for its answer."""
        return await (await self.begin(command, by)).result()

    async def begin(
        self, command: Command | CommandEnvelope, by: Role | Actor | None = None, *, again: bool = False
    ) -> WorkflowUpdateHandle[CommandAnswer]:
        """Send a command and wait until the journey has accepted it.

        ``again``: as another update, so that the journey must know the command, and not only Temporal the update.
        """
        envelope = command if isinstance(command, CommandEnvelope) else ask(command, by)
        return await self.handle.start_update(
            envelope.name,
            envelope,
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            id=str(uuid4() if again else envelope.command_id),
            result_type=CommandAnswer,
        )

    async def again(self, envelope: CommandEnvelope) -> CommandAnswer:
        """Send the same command once more."""
        return await (await self.begin(envelope, again=True)).result()

    async def refused(
        self, command: Command | CommandEnvelope, by: Role | Actor | None = None, *, again: bool = False
    ) -> str | None:
        """Send a command; the code it is refused with, None when it is accepted."""
        try:
            update = await self.begin(command, by, again=again)
        except WorkflowUpdateFailedError as failed:  # by the validator
            return refusal_code(failed)
        return await code_of(update)

    async def report(self, fact: Command, fact_id: str, *, source: str = "pharmacy") -> None:
        """Signal a fact."""
        envelope = FactEnvelope(
            fact_id=fact_id,
            name=fact.name,
            source=source,
            occurred_at=datetime.now(UTC),
            body=fact.model_dump(mode="json"),
        )
        await self.handle.signal(fact.name, envelope)

    async def wind(self, length: timedelta) -> None:
        """Let time pass for the journey. It must not have an open escalation: the server lets no parent go ahead."""
        await self.clinic.wind(self.handle, length)

    # --- what can be seen of it -----------------------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """Its events in the log."""
        return self.clinic.log.streams[self.id]

    @property
    def state(self) -> State:
        """The fold of what the log holds."""
        known = self.start.known().state
        return rules.fold(known, self.stream.records[known.version :])

    @property
    def open_state(self) -> Journey:
        """The same, of a journey that was opened."""
        assert isinstance(self.state, Journey)
        return self.state

    async def logged(self, *types: str) -> None:
        """Wait until the log holds events of these types."""
        await eventually(lambda: set(types) <= set(self.stream.types))

    async def settled(self) -> None:
        """Wait until nothing is owed to the outside, and the journey knows it."""
        await eventually(lambda: not self.open_state.outbox.owed)
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until the journey only waits."""
        await eventually(partial(_only_waits, self.handle))

    async def run_ids(self) -> list[str]:
        """Its runs, first one first."""
        ids: list[str] = []
        run_id: str | None = (await self.handle.describe()).run_id
        while run_id:
            ids.insert(0, run_id)
            started = (await self.history(run_id))[0].workflow_execution_started_event_attributes
            run_id = started.continued_execution_run_id or None
        return ids

    async def history(self, run_id: str | None = None) -> Sequence[HistoryEvent]:
        """The events of a run, the last one unless said otherwise."""
        handle = self.clinic.client.get_workflow_handle(self.handle.id, run_id=run_id)
        return (await handle.fetch_history()).events

    async def event_types(self, run_id: str | None = None) -> list[str]:
        """Their types, without the common prefix."""
        return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in await self.history(run_id)]

    async def handed_over(self) -> JourneySnapshot:
        """What a later run began with; waits for it."""
        begun = self.start

        async def is_later_run() -> bool:
            nonlocal begun
            begun = await self._begun()
            return begun.snapshot != self.start.snapshot

        await eventually(is_later_run)
        assert begun.snapshot is not None
        return begun.snapshot

    async def _begun(self) -> JourneyStart:
        started = (await self.history())[0].workflow_execution_started_event_attributes
        context = WorkflowSerializationContext(namespace=self.clinic.client.namespace, workflow_id=self.handle.id)
        converter = self.clinic.client.data_converter.with_context(context)
        (begun,) = await converter.decode(started.input.payloads, [JourneyStart])
        assert isinstance(begun, JourneyStart)
        return begun

    async def status(self) -> str:
        """RUNNING while it lives, COMPLETED once it has closed."""
        return _status(await self.handle.describe())

    def escalation(self, command_id: UUID) -> WorkflowHandle[Any, Any]:
        """The escalation that a safety command raised."""
        return self.clinic.client.get_workflow_handle(escalation_workflow_id(self.id, case_of(command_id)))

    async def escalation_quiet(self, command_id: UUID) -> None:
        """Wait until the escalation of a command only waits."""
        await eventually(partial(_only_waits, self.escalation(command_id)))

    async def escalation_status(self, command_id: UUID) -> str:
        """RUNNING while it pages, COMPLETED once a clinician has answered."""
        return _status(await self.escalation(command_id).describe())

    def cases(self) -> set[UUID]:
        """Every case that was paged for."""
        return {UUID(key.split(".")[1]) for key in self.pages()}

    def pages(self) -> list[str]:
        """The keys of all pages so far."""
        return self.clinic.outside.keys(self.id, "page_on_call")


async def _only_waits(workflow: WorkflowHandle[Any, Any]) -> bool:
    described = (await workflow.describe()).raw_description
    return not described.pending_activities and not described.HasField("pending_workflow_task")


def _status(described: WorkflowExecutionDescription) -> str:
    assert described.status is not None
    return described.status.name
