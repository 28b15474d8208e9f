"""Make the goldens of this build: ``python -m tests.replay.make_golden``.

Goldens of a released build are evidence and are never made again; those of a build in development are replaced by
each run of this script.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from temporalio.api.history.v1 import History
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import __version__ as sdk_version

from domain.effects import Address, PersonName
from domain.envelope import Actor, CommandEnvelope, Role
from domain.journey.referral import Patient, SubmitReferral, Therapist
from runtime.names import JOURNEYS, SEARCH_ATTRIBUTE_KINDS, WRITE_EHR_RECORDS, journey_workflow_id
from runtime.settings import load_settings
from runtime.temporal import connect
from stack.temporal_server import TemporalOptions, temporal
from tests.replay.clinic import GoldenKeys, Outside, workers
from workflows.contracts import CommandAnswer, JourneyStart
from workflows.journey import NUDGE, JourneyWorkflow

GOLDEN = Path(__file__).with_name("golden")
NAMESPACE = "golden"
SCENARIO = "referral_to_safety_case"
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


async def opened(client: Client, journey_id: UUID) -> WorkflowHandle[Any, Any]:
    """A journey that has its referral."""
    command = envelope("submit_referral", Role.THERAPIST, json.loads(referral().model_dump_json()))
    start = WithStartWorkflowOperation(
        JourneyWorkflow.run,
        JourneyStart(journey_id=journey_id, patient_id=uuid4(), simulated=True),
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
    return await handle.execute_update(
        command.name, command, id=str(command.command_id), result_type=CommandAnswer
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition; TimeoutError when it never comes true."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


async def live(client: Client, journey_id: UUID, outside: Outside) -> list[str]:
    """A short life: an outage, a refusal, a hand-over to a new run, a safety case that is paged and answered."""
    handle = await opened(client, journey_id)
    first_run = (await handle.describe()).run_id
    await send(handle, envelope("acknowledge_referral", Role.COORDINATOR))
    try:
        await send(handle, envelope("acknowledge_referral", Role.COORDINATOR))
    except WorkflowUpdateFailedError:
        pass
    else:
        raise AssertionError("a referral can be acknowledged once")
    await handle.signal(NUDGE)

    async def written() -> bool:
        return WRITE_EHR_RECORDS in outside.done

    await until(written)
    await send(handle, envelope("accept_referral", Role.COORDINATOR))

    async def handed_over() -> bool:
        return (await handle.describe()).run_id != first_run

    await until(handed_over)
    await send(handle, envelope("record_measurements", Role.ON_CALL, {"weight_kg": 68.0, "height_cm": 170.0}))
    await send(handle, envelope("report_safety_concern", Role.COORDINATOR, {"concern": "invented"}))
    await send(handle, envelope("answer_page", Role.ON_CALL))

    async def all_sent() -> bool:
        return not (await handle.describe()).raw_description.pending_activities

    await until(all_sent)
    return [first_run, (await handle.describe()).run_id]


async def keep(client: Client, journey_id: UUID, run_ids: list[str], build_id: str) -> Path:
    """Write each run's history as it came from the server, payloads sealed, and what is needed to read it."""
    folder = GOLDEN / build_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    runs = []
    for number, run_id in enumerate(run_ids, start=1):
        handle = client.get_workflow_handle(journey_workflow_id(journey_id), run_id=run_id)
        encoded = History(events=(await handle.fetch_history()).events).SerializeToString(deterministic=True)
        file = folder / f"{SCENARIO}.{number}.binpb"
        file.write_bytes(encoded)
        runs.append({"file": file.name, "run_id": run_id, "sha256": hashlib.sha256(encoded).hexdigest()})
    meta = {
        "scenario": SCENARIO,
        "build_id": build_id,
        "sdk_version": sdk_version,
        "namespace": NAMESPACE,
        "workflow_id": journey_workflow_id(journey_id),
        "runs": runs,
    }
    (folder / f"{SCENARIO}.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return folder


async def make() -> Path:
    """Run the scenario on a real server and keep its histories."""
    keys, outside = GoldenKeys(), Outside(failing={WRITE_EHR_RECORDS})
    options = TemporalOptions(namespace=NAMESPACE, search_attributes=SEARCH_ATTRIBUTE_KINDS)
    async with temporal(options=options) as server:
        os.environ |= {"TEMPORAL_ADDRESS": server.target, "TEMPORAL_NAMESPACE": NAMESPACE}
        settings = load_settings()
        client = await connect(settings, keys)
        journey_id = uuid4()
        async with workers(client, keys, outside):
            run_ids = await live(client, journey_id, outside)
        return await keep(client, journey_id, run_ids, settings.build_id)


if __name__ == "__main__":
    print(f"made {asyncio.run(make()).relative_to(GOLDEN.parent)}", flush=True)  # noqa: T201
    # A process that used a Temporal client may crash while the interpreter winds down (temporalio/sdk-python#300).
    os._exit(0)
