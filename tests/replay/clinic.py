"""The smallest world in which a journey can run for real: a log in memory, fixed test keys, effects on demand.

The workflow, the server, the codec and the chain are the real ones; only what stands behind the activities is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.ledger import LedgerActivities
from domain.effects import EffectCall, EffectResult, EhrWritten, MessageAccepted, Paged
from domain.envelope import GENESIS, AppendRequest, AppendResult
from runtime.names import (
    EFFECTS,
    ESCALATIONS,
    JOURNEYS,
    PAGE_ON_CALL,
    SEND_MESSAGE,
    WRITE_EHR_RECORDS,
)
from vault.canonical import header_bytes
from vault.chain import link
from vault.keys import DataKey
from vault.sealing import seal
from workflows.escalation import EscalationWorkflow, PageReportWorkflow
from workflows.journey import JourneyWorkflow


class GoldenKeys:
    """Keys that anybody can derive: they seal invented patients in the goldens, and nothing else, ever."""

    def __init__(self) -> None:
        self._system = self._key("system")
        self._known = {self._system.key_id: self._system}

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        key = self._key(str(journey_id))
        return self._known.setdefault(key.key_id, key)

    async def key_by_id(self, key_id: UUID) -> DataKey:
        return self._known[key_id]

    async def system_key(self) -> DataKey:
        return self._system

    def _key(self, owner: str) -> DataKey:
        name = f"https://alliance.example/golden/{owner}"
        return DataKey(uuid5(NAMESPACE_URL, name), 1, hashlib.sha256(name.encode()).digest())


@dataclass
class MemoryLog:
    """A ``Log`` that keeps hashes alone."""

    heads: dict[UUID, tuple[int, str]] = field(default_factory=dict)

    async def append(self, request: AppendRequest, key: DataKey) -> AppendResult:
        version, head = self.heads.get(request.journey_id, (0, GENESIS))
        assert request.records[0].header.sequence == version + 1
        assert request.expected_head == head
        chain = bytes.fromhex(head)
        for record in request.records:
            chain = link(chain, header_bytes(record.header), seal(key, record.header, record.content))
        last = request.records[-1].header.sequence
        self.heads[request.journey_id] = last, chain.hex()
        types = tuple(record.header.type for record in request.records)
        return AppendResult(status="appended", first=version + 1, last=last, chain_head=chain.hex(), types=types)

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None:
        return None


@dataclass
class Outside:
    """Every outside system at once. What it should fail at, it fails at once and then does."""

    failing: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def _do(self, kind: str) -> None:
        if kind in self.failing:
            self.failing.discard(kind)
            raise ConnectionError("the outside does not answer")
        self.done.append(kind)

    @activity.defn(name=WRITE_EHR_RECORDS)
    async def write_ehr_records(self, call: EffectCall) -> EffectResult:
        self._do(WRITE_EHR_RECORDS)
        return EffectResult(key=call.key, outcome=EhrWritten(references=("Patient/1",)))

    @activity.defn(name=SEND_MESSAGE)
    async def send_message(self, call: EffectCall) -> EffectResult:
        self._do(SEND_MESSAGE)
        return EffectResult(key=call.key, outcome=MessageAccepted(message_id="mail-1"))

    @activity.defn(name=PAGE_ON_CALL)
    async def page_on_call(self, call: EffectCall) -> EffectResult:
        self._do(PAGE_ON_CALL)
        return EffectResult(key=call.key, outcome=Paged(page_id="page-1"))


@asynccontextmanager
async def workers(client: Client, keys: GoldenKeys, outside: Outside) -> AsyncIterator[None]:
    """Run both workers of a clinic in this process."""
    ledger = LedgerActivities(MemoryLog(), keys)
    effects: list[Any] = [outside.write_ehr_records, outside.send_message]
    appends: list[Any] = [ledger.append_events, ledger.find_receipt]
    paging = [EscalationWorkflow, PageReportWorkflow]
    async with AsyncExitStack() as stack:
        for worker in (
            Worker(client, task_queue=JOURNEYS, workflows=[JourneyWorkflow], activities=appends),
            Worker(client, task_queue=EFFECTS, activities=effects),
            Worker(client, task_queue=ESCALATIONS, workflows=paging, activities=[outside.page_on_call]),
        ):
            await stack.enter_async_context(worker)
        yield
