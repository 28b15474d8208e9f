"""A clinic for one test session: a real Temporal server, real workflows, and journeys that can be lived or resumed.

Time is the workflow's own virtual clock; it moves only when a test winds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from domain import journey as rules
from domain.envelope import Actor, CommandEnvelope, FactEnvelope, Role
from domain.journey import Command, Journey, State
from domain.journey.safety import case_of
from runtime.names import JOURNEY_WORKFLOW, JOURNEYS, escalation_workflow_id, journey_workflow_id
from tests.domain.kit import ACTORS, Story
from tests.domain.stages import REFERRAL
from tests.workflows.fakes import FakeLog, Outside, Stream
from workflows.contracts import Attempt, CommandAnswer, JourneySnapshot, JourneyStart

PATIENCE_SECONDS = 20
SKIPS_MAX = 10_000
PATIENT_ID = UUID("6b2f7f2e-0000-5000-8000-00000000000f")


async def eventually(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait for a condition; TimeoutError when it does not come true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.02)


def ask(command: Command, by: Role | Actor | None = None, *, command_id: UUID | None = None) -> CommandEnvelope:
    """A command as the API sends it: by the only role that may, unless said otherwise."""
    if by is None:
        (by,) = command.roles
    return CommandEnvelope(
        command_id=command_id or uuid4(),
        name=command.name,
        actor=by if isinstance(by, Actor) else ACTORS[by],
        body=command.model_dump(mode="json"),
    )


@dataclass(frozen=True)
class Clinic:
    """Where journeys run."""

    client: Client
    log: FakeLog
    outside: Outside
    _known: list[Live] = field(default_factory=list)

    async def wind(self, workflow: WorkflowHandle[Any, Any], length: timedelta) -> None:
        """Let time pass for one workflow, and let happen what happens on the way."""
        clock = TimeSkipper(self.client, config=TimeSkippingConfig(enabled=False, max_session_skip_count=SKIPS_MAX))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await clock.fast_forward(workflow, length)

    def journey(self, start: JourneyStart | None = None) -> Live:
        """A journey that nobody has heard of yet."""
        start = start or JourneyStart(journey_id=uuid4(), patient_id=PATIENT_ID, simulated=True)
        self._known.append(live := Live(self, start))
        return live

    async def close(self) -> None:
        """End every journey, and every escalation."""
        while self._known:
            live = self._known.pop()
            ids = [live.handle.id]
            ids += [escalation_workflow_id(live.id, case_id) for case_id in live.cases()]
            for workflow_id in ids:
                with suppress(RPCError):  # it has ended by itself
                    await self.client.get_workflow_handle(workflow_id).terminate("the test is over")

    async def opened(self) -> Live:
        """A journey with its referral, now."""
        live = self.journey()
        await live.open()
        return live

    async def resumed(self, story: Story, attempts: Mapping[str, Attempt] | None = None) -> Live:
        """A story's journey as it stands, at its own time, as it is when a log has been folded."""
        journey_id = uuid4()
        stream = self.log.streams[journey_id]
        stream.put(story.records)
        state = story.state.model_copy(update={"journey_id": journey_id})
        shift = datetime.now(UTC) - story.now
        live = self.journey(
            JourneyStart(
                journey_id=journey_id,
                patient_id=state.patient_id,
                clock_shift_seconds=shift.total_seconds(),
                simulated=True,
                snapshot=JourneySnapshot(state=state, chain_head=stream.head, attempts=dict(attempts or {})),
            )
        )
        await self.client.start_workflow(JOURNEY_WORKFLOW, live.start, id=live.handle.id, task_queue=JOURNEYS)
        return live

    async def rehydrated(self, lost: Live) -> Live:
        """A journey that Temporal has lost, folded from its log (architecture D2, I10)."""
        snapshot = JourneySnapshot(state=lost.state, chain_head=lost.stream.head, receipts_evicted=True)
        again = self.journey(lost.start.model_copy(update={"snapshot": snapshot}))
        await self.client.start_workflow(JOURNEY_WORKFLOW, again.start, id=again.handle.id, task_queue=JOURNEYS)
        return again


class Live:
    """One running journey, as the API and the outside see it, and a test a little more."""

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
            return _code(failed)
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
        """Wait until nothing is owed to the outside that is due."""
        await eventually(lambda: not self.open_state.outbox.owed)

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

    async def escalation_status(self, command_id: UUID) -> str:
        """RUNNING while it pages, COMPLETED once a clinician has answered."""
        return _status(await self.escalation(command_id).describe())

    def cases(self) -> set[UUID]:
        """Every case that was paged for."""
        return {UUID(key.split(".")[1]) for key in self.pages()}

    def pages(self) -> list[str]:
        """The keys of all pages so far."""
        return self.clinic.outside.keys(self.id, "page_on_call")


async def code_of(update: WorkflowUpdateHandle[CommandAnswer]) -> str | None:
    """The code that a command was refused with, None when it was accepted."""
    try:
        await update.result()
    except WorkflowUpdateFailedError as failed:
        return _code(failed)
    return None


def _code(failed: WorkflowUpdateFailedError) -> str | None:
    assert isinstance(failed.cause, ApplicationError)
    return failed.cause.type


def _status(described: WorkflowExecutionDescription) -> str:
    assert described.status is not None
    return described.status.name
