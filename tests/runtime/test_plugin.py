"""One plugin for client, worker and replayer: sealed payloads, one trace, a strict sandbox, silent logs."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from opentelemetry import trace
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from domain.envelope import JourneySummary, Role
from runtime import names
from runtime.settings import Settings
from runtime.telemetry import span, temporal_runtime
from runtime.temporal import TemporalUnavailableError, alliance_plugin, connect
from stack.processes import free_ports
from stack.temporal_server import TemporalOptions, temporal
from tests.runtime.keyring import MemoryKeys
from tests.runtime.leaky_ward import LeakyWardWorkflow
from tests.runtime.ward import MARK, Admit, Admitted, WardWorkflow

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@activity.defn(name="admit_patient")
async def admit_patient(command: Admit) -> Admitted:
    """Answer with what came in, and fail with it when asked to, as careless code would."""
    if command.fail:
        raise ValueError(f"cannot admit {command.name}")
    trace_id = trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
    return Admitted(name=command.name, at=command.at, trace_id=trace_id)


@dataclass(frozen=True)
class Ward:
    """A running worker, a client beside it, and the workflow they share."""

    client: Client
    keys: MemoryKeys
    journey_id: UUID
    handle: WorkflowHandle[WardWorkflow, str]


def summary(journey_id: UUID) -> JourneySummary:
    """A journey in eligibility, with no hold."""
    return JourneySummary(
        journey_id=journey_id,
        version=3,
        stage="eligibility",
        protocol="ketamine_sl",
        policy_version="1",
        next_action_by=Role.PRESCRIBER,
        due_at=AT,
        opened_at=AT,
    )


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    """Patch for as long as this module's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
async def ward(patched: pytest.MonkeyPatch) -> AsyncIterator[Ward]:
    """Two connections, as API and worker have them, to one development server."""
    options = TemporalOptions(namespace="clinic", search_attributes=names.SEARCH_ATTRIBUTE_KINDS)
    async with temporal(options=options) as server:
        patched.setenv("TEMPORAL_ADDRESS", server.target)
        patched.setenv("TEMPORAL_NAMESPACE", "clinic")
        keys, journey_id = MemoryKeys(), uuid4()
        client, worker_client = await connect(Settings(), keys), await connect(Settings(), keys)
        async with Worker(
            worker_client, task_queue=names.JOURNEYS, workflows=[WardWorkflow], activities=[admit_patient]
        ):
            with span("open_ward", journey_id=journey_id):
                handle = await client.start_workflow(
                    WardWorkflow.run,
                    summary(journey_id),
                    id=names.journey_workflow_id(journey_id),
                    task_queue=names.JOURNEYS,
                )
            yield Ward(client, keys, journey_id, handle)


async def test_values_survive_the_round_trip(ward: Ward) -> None:
    """A command comes out of client, codec, workflow and activity as it went in; the clock is a real datetime."""
    admitted = await ward.handle.execute_update(WardWorkflow.admit, Admit(name=MARK, at=AT))

    assert (MARK, AT) == (admitted.name, admitted.at)
    assert admitted.workflow_now is not None


async def test_one_trace_from_client_to_activity(ward: Ward) -> None:
    """An activity that an update starts runs under the trace of whoever sent the update."""
    with span("test_command", command="admit") as current:
        sent = trace.format_trace_id(current.get_span_context().trace_id)
        admitted = await ward.handle.execute_update(WardWorkflow.admit, Admit(name="x", at=AT))

    assert sent != "0" * 32
    assert sent == admitted.trace_id


async def test_search_attributes_are_upserted(ward: Ward) -> None:
    """Every attribute with a value is set, and one without a value is not."""
    await ward.handle.execute_update(WardWorkflow.admit, Admit(name="x", at=AT))
    found = (await ward.handle.describe()).typed_search_attributes

    assert "eligibility" == found[names.CARE_STAGE]
    assert "prescriber" == found[names.CARE_NEXT_ACTION_BY]
    assert 3 == found[names.JOURNEY_VERSION]
    assert AT == found[names.CARE_DUE_AT]
    assert found.get(names.CARE_HOLD) is None
    assert set(names.search_attributes(summary(ward.journey_id))) >= {names.CARE_HOLD.value_unset()}


async def test_failures_are_sealed_and_logged_without_their_words(ward: Ward, logged: io.StringIO) -> None:
    """A failure's message is in neither the history nor the logs, though the client can read it."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await ward.handle.execute_update(WardWorkflow.admit, Admit(name=MARK, at=AT, fail=True))
    history = await ward.handle.fetch_history()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "REFUSED" == caught.value.cause.type
    assert MARK in str(caught.value.cause)
    assert MARK.encode() not in b"".join(event.SerializeToString() for event in history.events)
    assert "ValueError" in logged.getvalue()
    assert "Completing activity as failed" in logged.getvalue()
    assert str(ward.journey_id) in logged.getvalue()
    assert MARK not in logged.getvalue()


async def test_replayer_takes_the_same_plugin(ward: Ward) -> None:
    """A history that went through codec and interceptors replays with the plugin, and fails under foreign keys."""
    with span("admit_and_close"):
        await ward.handle.execute_update(WardWorkflow.admit, Admit(name=MARK, at=AT))
        closing = trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)
        await ward.handle.signal(WardWorkflow.close)
        own_trace = await ward.handle.result()
    history = await ward.handle.fetch_history()

    replayed = await Replayer(
        workflows=[], plugins=[alliance_plugin(keys=ward.keys, workflows=[WardWorkflow])]
    ).replay_workflow(history, raise_on_replay_failure=False)
    foreign = await Replayer(
        workflows=[], plugins=[alliance_plugin(keys=MemoryKeys(), workflows=[WardWorkflow])]
    ).replay_workflow(history, raise_on_replay_failure=False)

    assert replayed.replay_failure is None
    assert foreign.replay_failure is not None
    assert closing != own_trace, "what the journey does of its own accord starts a trace of its own"


async def test_unintended_import_stops_the_worker(ward: Ward) -> None:
    """A workflow that imports a module outside PASSED_THROUGH does not get as far as polling."""
    with pytest.raises(RuntimeError) as caught:
        Worker(ward.client, task_queue="leaky", workflows=[LeakyWardWorkflow])

    assert "tests.runtime.keyring" in str(caught.value.__cause__)


async def test_unreachable_server_is_named() -> None:
    """Without a server the error names the address and the variable to check."""
    (port,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(TemporalUnavailableError) as caught:
            await connect(Settings(), MemoryKeys(), connect_timeout=timedelta(seconds=2))

    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "TEMPORAL_ADDRESS" in str(caught.value)


async def test_metrics_are_served() -> None:
    """The SDK's metrics are scraped from the address that was set."""
    (port,) = free_ports(1)
    runtime = temporal_runtime(f"127.0.0.1:{port}")
    async with httpx2.AsyncClient(trust_env=False) as http:
        response = await http.get(f"http://127.0.0.1:{port}/metrics")

    assert 200 == response.status_code
    assert runtime is temporal_runtime(f"127.0.0.1:{port}")
