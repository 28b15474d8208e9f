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
from pathlib import Path
from unittest.mock import patch
from uuid import UUID, uuid4

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import History
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import __version__ as sdk_version

from audit.histories import histories
from domain.envelope import Role
from runtime.names import PAGE_ON_CALL, SEARCH_ATTRIBUTE_KINDS, WRITE_EHR_RECORDS, journey_workflow_id
from runtime.settings import load_settings
from runtime.temporal import connect
from stack.temporal_server import TemporalOptions, temporal
from tests.replay.asking import envelope, opened, send, until
from tests.replay.clinic import GoldenKeys, Outside, workers
from workflows.journey import NUDGE

GOLDEN = Path(__file__).with_name("golden")
NAMESPACE = "golden"
SCENARIO = "referral_to_safety_case"


async def live(client: Client, journey_id: UUID, outside: Outside) -> None:
    """A short life: an outage, a refusal, a hand-over to a new run, a safety case that is paged and answered."""
    handle = await opened(client, journey_id, uuid4())
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
    before = (await handle.describe()).run_id
    await send(handle, envelope("accept_referral", Role.COORDINATOR))

    async def handed_over() -> bool:
        return (await handle.describe()).run_id != before

    await until(handed_over)
    await send(handle, envelope("record_measurements", Role.ON_CALL, {"weight_kg": 68.0, "height_cm": 170.0}))
    await send(handle, envelope("report_safety_concern", Role.COORDINATOR, {"concern": "invented"}))
    await send(handle, envelope("answer_page", Role.ON_CALL))

    async def quiet() -> bool:
        """Nothing under way, and nothing new for a second: a history cut short would be another one each time."""
        length = (await handle.describe()).history_length
        await asyncio.sleep(1)
        now = await handle.describe()
        return now.history_length == length and not now.raw_description.pending_activities

    async def paged() -> bool:
        return PAGE_ON_CALL in outside.done

    await until(paged)
    await until(quiet)


def nameless(message: Message) -> None:
    """Put a constant in place of every process id and host name, sticky queues being named after them."""
    if isinstance(message, TaskQueue) and message.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
        message.name = "golden-sticky"
    for descriptor, value in message.ListFields():
        if descriptor.name == "identity":
            message.identity = "golden"  # type: ignore[attr-defined]
        elif isinstance(value, Message):
            nameless(value)
        elif descriptor.type == FieldDescriptor.TYPE_MESSAGE and not hasattr(value, "values"):
            for part in value:
                nameless(part)


async def keep(client: Client, journey_id: UUID, build_id: str) -> Path:
    """Write each run's history as it came from the server, payloads sealed, and what is needed to read it."""
    folder = GOLDEN / build_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    runs = []
    for number, history in enumerate(await histories(client, journey_id), start=1):
        message = History(events=history.events)
        nameless(message)
        encoded = message.SerializeToString(deterministic=True)
        file = folder / f"{SCENARIO}.{number}.binpb"
        file.write_bytes(encoded)
        digest = hashlib.sha256(encoded).hexdigest()
        runs.append({"file": file.name, "run_id": history.run_id, "events": len(history.events), "sha256": digest})
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
            # Stack traces would name this machine's folders; a failure is the same failure without.
            with patch("traceback.format_tb", lambda *_: []):
                await live(client, journey_id, outside)
        return await keep(client, journey_id, settings.build_id)


if __name__ == "__main__":
    print(f"made {asyncio.run(make()).relative_to(GOLDEN.parent)}", flush=True)  # noqa: T201
    # A process that used a Temporal client may crash while the interpreter winds down (temporalio/sdk-python#300).
    os._exit(0)
