"""Temporal's ledger, as evidence: every run of a journey, opened, and the appends that stand in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from domain.envelope import AppendRequest, AppendResult
from runtime.names import APPEND_EVENTS, JOURNEY_WORKFLOW, journey_id_of, journey_workflow_id
from runtime.temporal import TemporalUnavailableError
from vault.codec import JourneyCodec
from vault.keys import KeySource
from workflows.contracts import JourneyStart

_T = TypeVar("_T")
_CLOSING = frozenset(
    {
        "workflow_execution_completed_event_attributes",
        "workflow_execution_failed_event_attributes",
        "workflow_execution_timed_out_event_attributes",
        "workflow_execution_canceled_event_attributes",
        "workflow_execution_terminated_event_attributes",
        "workflow_execution_continued_as_new_event_attributes",
    }
)
_OF_ANOTHER = {
    "start_child_workflow_execution_initiated_event_attributes": "workflow_id",
    "child_workflow_execution_completed_event_attributes": "workflow_execution",
    "child_workflow_execution_failed_event_attributes": "workflow_execution",
    "child_workflow_execution_canceled_event_attributes": "workflow_execution",
    "signal_external_workflow_execution_initiated_event_attributes": "workflow_execution",
}
"""Events whose payloads belong to another workflow, and where they name it."""


@dataclass(frozen=True)
class Run:
    """One run: its history as the server keeps it, sealed, and with its payloads opened."""

    history: WorkflowHistory
    events: Sequence[HistoryEvent]

    @property
    def run_id(self) -> str:
        return self.history.run_id

    @property
    def closing(self) -> str | None:
        """The kind of the event that ended this run, or None while it runs."""
        kind = self.events[-1].WhichOneof("attributes") or ""
        return kind.removesuffix("_event_attributes") if kind in _CLOSING else None

    @property
    def continued_from(self) -> str:
        return self.events[0].workflow_execution_started_event_attributes.continued_execution_run_id

    @property
    def successor(self) -> str:
        return self.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id

    @property
    def start(self) -> JourneyStart:
        """The start input, which says from which version this run went on."""
        payloads = self.events[0].workflow_execution_started_event_attributes.input.payloads
        return _value(payloads[0], JourneyStart)


@dataclass(frozen=True)
class Append:
    """One ``append_events`` as it stands in a history. ``result`` is None while, or when, it was never acknowledged."""

    event_id: int
    request: AppendRequest
    result: AppendResult | None


@asynccontextmanager
async def answered() -> AsyncIterator[None]:
    """Say of Temporal's errors what they mean for an audit."""
    try:
        yield
    except RPCError as error:
        raise TemporalUnavailableError(
            f"Temporal did not answer an audit ({error.status.name}): check that it runs, then audit again."
        ) from error


async def journeys(client: Client) -> list[UUID]:
    """Every journey that Temporal knows, open or closed within its retention."""
    async with answered():
        found = {journey_id_of(run.id) async for run in client.list_workflows(f"WorkflowType = '{JOURNEY_WORKFLOW}'")}
    return sorted(journey_id for journey_id in found if journey_id is not None)


async def histories(client: Client, journey_id: UUID) -> list[WorkflowHistory]:
    """Every run of a journey that is still kept, the oldest first.

    Visibility may lag and the chain may be broken by a termination, so both are followed.
    """
    workflow_id = journey_workflow_id(journey_id)
    async with answered():
        wanted = [run.run_id async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'")]
        wanted += [run_id for run_id in [await _current(client, workflow_id)] if run_id]
        found: dict[str, WorkflowHistory] = {}
        while wanted:
            run_id = wanted.pop()
            if run_id in found:
                continue
            history = await _fetch(client, workflow_id, run_id)
            if history is None:
                continue
            found[run_id] = history
            run = Run(history, history.events)
            wanted += [neighbour for neighbour in (run.continued_from, run.successor) if neighbour]
    return sorted(found.values(), key=lambda history: history.events[0].event_time.ToNanoseconds())


async def _current(client: Client, workflow_id: str) -> str | None:
    try:
        return (await client.get_workflow_handle(workflow_id).describe()).run_id
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _fetch(client: Client, workflow_id: str, run_id: str) -> WorkflowHistory | None:
    """A run's history; None when its retention is over."""
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def opened(history: WorkflowHistory, keys: KeySource, namespace: str) -> Run:
    """Open the payloads of a history, each as what it must be: its journey's, or the other workflow's it names.

    Raises:
        VaultError: a payload is somebody else's, was changed, or its key is gone.

    """
    events = []
    for sealed in history.events:
        event = HistoryEvent()
        event.CopyFrom(sealed)
        kind = event.WhichOneof("attributes") or ""
        attributes = getattr(event, kind)
        other = getattr(attributes, _OF_ANOTHER[kind]) if kind in _OF_ANOTHER else history.workflow_id
        owner = other if isinstance(other, str) else other.workflow_id
        await _open(attributes, JourneyCodec(keys), namespace, owner)
        await _open(event.user_metadata, JourneyCodec(keys), namespace, history.workflow_id)
        events.append(event)
    return Run(history, events)


async def _open(message: Message, codec: JourneyCodec, namespace: str, workflow_id: str) -> None:
    bound = codec.with_context(WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id))
    payloads = list(_payloads(message))
    for payload, clear in zip(payloads, await bound.decode(payloads), strict=True):
        payload.CopyFrom(clear)


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload anywhere in a message."""
    if isinstance(message, Payload):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if isinstance(value, Message):
            yield from _payloads(value)
        else:
            parts = value.values() if hasattr(value, "values") else value
            for part in parts:
                if isinstance(part, Message):
                    yield from _payloads(part)


def appends(run: Run) -> list[Append]:
    """The appends of a run, in the order in which they were scheduled."""
    scheduled: dict[int, AppendRequest] = {}
    results: dict[int, AppendResult] = {}
    for event in run.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            attributes = event.activity_task_scheduled_event_attributes
            if attributes.activity_type.name == APPEND_EVENTS:
                scheduled[event.event_id] = _value(attributes.input.payloads[0], AppendRequest)
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id in scheduled:
                results[done.scheduled_event_id] = _value(done.result.payloads[0], AppendResult)
    return [Append(event_id, request, results.get(event_id)) for event_id, request in scheduled.items()]


def _value(payload: Payload, kind: type[_T]) -> _T:
    return pydantic_data_converter.payload_converter.from_payload(payload, kind)
