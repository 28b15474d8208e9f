"""A clinic for one test session: a real Temporal server, real workflows, and journeys that can be lived or resumed.

Time is the workflow's own virtual clock; it moves only when a test winds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from runtime.names import JOURNEY_WORKFLOW, JOURNEYS, escalation_workflow_id
from tests.domain.kit import Story
from tests.workflows.asking import PATIENCE_SECONDS
from tests.workflows.fakes import FakeLog, Outside
from tests.workflows.live import Live
from workflows.contracts import Attempt, JourneySnapshot, JourneyStart

SKIPS_MAX = 10_000
PATIENT_ID = UUID("6b2f7f2e-0000-5000-8000-00000000000f")


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
