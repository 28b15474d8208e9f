"""What Temporal's client does in each case is put into the four words that ``api.ports`` has for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.ports import NotRunningError, OutcomeUnknownError, RefusedError, StillWorkingError
from api.temporal import TemporalJourneys
from domain.envelope import SYSTEM, CommandEnvelope, FactEnvelope
from runtime.names import ESCALATIONS, JOURNEYS, escalation_workflow_id, journey_workflow_id
from stack.temporal_server import find_binary
from tests.api.fakes import FakeKeys
from workflows.contracts import CommandAnswer, EscalationStart, JourneyStart


@workflow.defn(name="Journey")
class PuppetJourney:
    """Does what a command's name says."""

    @workflow.init
    def __init__(self, start: JourneyStart) -> None:
        self._id = start.journey_id
        self._commands = 0
        self._facts: list[str] = []
        self._closed = False

    @workflow.run
    async def run(self, _start: JourneyStart) -> int:
        await workflow.wait_condition(lambda: self._closed and workflow.all_handlers_finished())
        return self._commands

    @workflow.update(dynamic=True)
    async def command(self, name: str, args: Sequence[RawValue]) -> CommandAnswer:
        envelope = workflow.payload_converter().from_payload(args[0].payload, CommandEnvelope)
        self._commands += 1
        if name == "refuse":
            raise ApplicationError("do this instead", type="HOLD_SAFETY", non_retryable=True)
        if name == "wait_for_a_fact":
            await workflow.wait_condition(lambda: bool(self._facts))
        self._closed = name == "close"
        return CommandAnswer(
            journey_id=self._id, command_id=envelope.command_id, sequence=self._commands, events=tuple(self._facts)
        )

    @workflow.signal(dynamic=True)
    async def fact(self, name: str, args: Sequence[RawValue]) -> None:
        fact = workflow.payload_converter().from_payload(args[0].payload, FactEnvelope)
        self._facts.append(f"{name}/{fact.fact_id}")


async def _server() -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_binary()),
        data_converter=pydantic_data_converter,
        dev_server_log_level="error",
    )


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    """Run one development server for this module."""
    async with await _server() as environment:
        yield environment.client
    # The SDK's threads crash an interpreter that ends right after a server was stopped (sdk-python#300).
    await asyncio.sleep(0.3)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[None]:
    """Run puppets."""
    async with Worker(
        client, task_queue=JOURNEYS, workflows=[PuppetJourney], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield


def _start() -> JourneyStart:
    return JourneyStart(journey_id=uuid4(), patient_id=uuid4())


def _command(name: str, command_id: UUID | None = None) -> CommandEnvelope:
    return CommandEnvelope(command_id=command_id or uuid4(), name=name, actor=SYSTEM)


@pytest.mark.usefixtures("worker")
async def test_a_journey_opens_once_and_answers_each_command_once(client: Client) -> None:
    """The same opening again is the same answer; so is the same command; another command is another."""
    journeys, start, first = TemporalJourneys(client, FakeKeys(), 10), _start(), _command("open")

    opened = [await journeys.open(start, first) for _ in range(2)]
    second = _command("go_on")
    sent = [await journeys.send(start.journey_id, second) for _ in range(2)]

    assert [1, 1, 2, 2] == [answer.sequence for answer in (*opened, *sent)]


@pytest.mark.usefixtures("worker")
async def test_another_request_under_the_same_key_reaches_the_journey(client: Client) -> None:
    """Temporal would answer it with what the first came to; the journey must be able to say KEY_REUSED."""
    journeys, start, first = TemporalJourneys(client, FakeKeys(), 10), _start(), _command("open")
    await journeys.open(start, first)

    other_name = await journeys.send(start.journey_id, _command("go_on", first.command_id))
    other_body = await journeys.send(start.journey_id, first.model_copy(update={"body": {"reason": "another"}}))

    assert [2, 3] == [other_name.sequence, other_body.sequence]


@pytest.mark.usefixtures("worker")
async def test_a_refusal_has_its_code_and_sentence(client: Client) -> None:
    """Also an opening's."""
    journeys, start = TemporalJourneys(client, FakeKeys(), 10), _start()

    with pytest.raises(RefusedError) as opening:
        await journeys.open(start, _command("refuse"))
    with pytest.raises(RefusedError) as later:
        await journeys.send(start.journey_id, _command("refuse"))

    assert [("HOLD_SAFETY", "do this instead")] * 2 == [(e.value.code, e.value.message) for e in (opening, later)]


@pytest.mark.usefixtures("worker")
async def test_a_slow_command_is_still_working_and_is_answered_later(client: Client) -> None:
    """Accepted and not answered in time; the same command again gets the answer; a fact gets through meanwhile."""
    keys, start, slow = FakeKeys(), _start(), _command("wait_for_a_fact")
    journeys = TemporalJourneys(client, keys, 0.5)
    await journeys.open(start, _command("open"))

    with pytest.raises(StillWorkingError):
        await journeys.send(start.journey_id, slow)
    fact = FactEnvelope(fact_id="m-1", name="told", source="pharmacy", occurred_at=datetime.now(UTC))
    await journeys.report(start.journey_id, fact)

    assert ("told/m-1",) == (await TemporalJourneys(client, keys, 10).send(start.journey_id, slow)).events


@pytest.mark.usefixtures("worker")
async def test_unknown_and_closed_journeys_do_not_run(client: Client) -> None:
    """Commands, facts and a late opening alike."""
    journeys, start = TemporalJourneys(client, FakeKeys(), 10), _start()
    await journeys.open(start, _command("close"))
    await client.get_workflow_handle(journey_workflow_id(start.journey_id)).result()
    fact = FactEnvelope(fact_id="m-1", name="told", source="pharmacy", occurred_at=datetime.now(UTC))

    for attempt in (
        journeys.send(start.journey_id, _command("go_on")),
        journeys.send(uuid4(), _command("go_on")),
        journeys.report(start.journey_id, fact),
        journeys.open(start, _command("open")),
    ):
        with pytest.raises(NotRunningError):
            await attempt


async def test_without_a_worker_the_outcome_is_unknown(client: Client) -> None:
    """Nothing is in history, and nothing is promised."""
    journeys, start = TemporalJourneys(client, FakeKeys(), 0.5), _start()

    with pytest.raises(OutcomeUnknownError):
        await journeys.open(start, _command("open"))
    with pytest.raises(OutcomeUnknownError):
        await journeys.send(start.journey_id, _command("go_on"))


async def test_an_escalation_starts_once(client: Client) -> None:
    """Asked for twice, and again after it was answered, there is one."""
    journeys = TemporalJourneys(client, FakeKeys(), 10)
    start = EscalationStart(journey_id=uuid4(), case_id=uuid4(), raised_at=datetime.now(UTC))

    await journeys.escalate(start)
    await journeys.escalate(start)
    handle = client.get_workflow_handle(escalation_workflow_id(start.journey_id, start.case_id))
    first = await handle.describe()
    await handle.terminate()
    await journeys.escalate(start)

    assert (ESCALATIONS, first.run_id) == (first.task_queue, (await handle.describe()).run_id)


async def test_without_temporal_the_outcome_is_unknown() -> None:
    """A server that is gone is no answer, in bounded time."""
    environment = await _server()
    journeys = TemporalJourneys(environment.client, FakeKeys(), 0.5)
    await environment.shutdown()

    async with asyncio.timeout(5):
        for attempt in (journeys.send(uuid4(), _command("go_on")), journeys.open(_start(), _command("open"))):
            with pytest.raises(OutcomeUnknownError):
                await attempt
