"""What people ask of a journey: commands as the API would send them, about somebody who does not exist."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from domain.effects import Address, PersonName
from domain.envelope import Actor, CommandEnvelope, Role
from domain.journey.referral import Patient, SubmitReferral, Therapist
from runtime.names import JOURNEYS, journey_workflow_id
from workflows.contracts import CommandAnswer, JourneyStart
from workflows.journey import JourneyWorkflow

WAIT_SECONDS = 60


def referral() -> SubmitReferral:
    """A referral of somebody who does not exist."""
    return SubmitReferral(
        patient=Patient(
            name=PersonName(given="Trillian", family="Astra"),
            birth_date=date(1988, 1, 1),
            sex="female",
            email="trillian@example.org",
            phone="+15550100",
            address=Address(line="1 Main", city="Albany", state="NY", postal_code="12207"),
            time_zone="America/New_York",
        ),
        therapist=Therapist(subject="therapist-1", licence_states=("NY",)),
        diagnosis_icd10="F33.2",
        presenting_problem="invented",
        alliance_since=date(2025, 6, 1),
        modality="remote",
    )


def envelope(name: str, role: Role, body: dict[str, Any] | None = None) -> CommandEnvelope:
    """A command by the only person of this role."""
    actor = Actor(subject=f"{role}-1", role=role)
    return CommandEnvelope(command_id=uuid4(), name=name, actor=actor, body=body or {})


async def opened(client: Client, journey_id: UUID, patient_id: UUID) -> WorkflowHandle[Any, Any]:
    """A journey that has its referral."""
    command = envelope("submit_referral", Role.THERAPIST, json.loads(referral().model_dump_json()))
    start = WithStartWorkflowOperation(
        JourneyWorkflow.run,
        JourneyStart(journey_id=journey_id, patient_id=patient_id, simulated=True),
        id=journey_workflow_id(journey_id),
        task_queue=JOURNEYS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await client.execute_update_with_start_workflow(
        command.name, command, id=str(command.command_id), start_workflow_operation=start, result_type=CommandAnswer
    )
    return client.get_workflow_handle(journey_workflow_id(journey_id))


async def send(handle: WorkflowHandle[Any, Any], command: CommandEnvelope) -> CommandAnswer:
    """Send one command and wait for its answer."""
    answer: CommandAnswer = await handle.execute_update(
        command.name, command, id=str(command.command_id), result_type=CommandAnswer
    )
    return answer


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition of another process; TimeoutError when it never comes true."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():  # noqa: ASYNC110  another process has no event to wait for
            await asyncio.sleep(0.05)
