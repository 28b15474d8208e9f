"""One server for the session; every test runs twice: with workflows cached, and replayed from history at each task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from runtime.names import EFFECTS, ESCALATIONS, JOURNEYS, SEARCH_ATTRIBUTE_KINDS
from runtime.temporal import alliance_plugin
from stack.temporal_server import TemporalOptions, temporal
from tests.runtime.keyring import MemoryKeys
from tests.workflows.clinic import Clinic
from tests.workflows.fakes import FakeLog, Outside
from workflows.escalation import EscalationWorkflow, PageReportWorkflow
from workflows.journey import JourneyWorkflow

CACHED, REPLAYED = 500, 0


@pytest.fixture(scope="session")
async def _client() -> AsyncIterator[Client]:
    options = TemporalOptions(search_attributes=SEARCH_ATTRIBUTE_KINDS, time_skipping=True)
    async with temporal(options=options) as server:
        plugin = alliance_plugin(keys=MemoryKeys())
        yield await Client.connect(server.target, namespace=server.namespace, plugins=[plugin])
    # A process that used a Temporal client may crash at its end unless its threads were given a moment
    # (temporalio/sdk-python#300).
    await asyncio.sleep(0.3)


@pytest.fixture(scope="session", params=[CACHED, REPLAYED], ids=["cached", "replayed"])
async def clinic(request: pytest.FixtureRequest, _client: Client) -> AsyncIterator[Clinic]:
    """All three workers of a clinic."""
    log, outside = FakeLog(), Outside()
    cache = request.param
    workers = (
        Worker(
            _client,
            task_queue=JOURNEYS,
            workflows=[JourneyWorkflow],
            activities=[log.append_events, log.find_receipt],
            max_cached_workflows=cache,
        ),
        Worker(_client, task_queue=EFFECTS, activities=outside.effects),
        Worker(
            _client,
            task_queue=ESCALATIONS,
            workflows=[EscalationWorkflow, PageReportWorkflow],
            activities=[outside.page_on_call],
            max_cached_workflows=cache,
        ),
    )
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield Clinic(_client, log, outside)


@pytest.fixture(autouse=True)
async def _closing_time(clinic: Clinic) -> AsyncIterator[None]:
    """No journey outlives its test: one that was lived under other settings would fail to replay."""
    yield
    await clinic.close()
