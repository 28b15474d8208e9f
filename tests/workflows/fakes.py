"""What stands behind the activities, in memory: an honest event log, and an outside world that can be told to fail.

The log answers as ``store.log`` does, for the same append, for a command it knows, and for records that do not follow.
One instance serves a whole test session; everything is kept per journey, so tests do not meet.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from temporalio import activity

from domain.effects import (
    EffectCall,
    EffectOutcome,
    EffectResult,
    EhrWritten,
    MessageAccepted,
    Paged,
    PdmpAnswered,
    PrescriptionSent,
)
from domain.envelope import GENESIS, AppendRequest, AppendResult, EventRecord
from runtime.names import (
    APPEND_EVENTS,
    FIND_RECEIPT,
    PAGE_ON_CALL,
    QUERY_PDMP,
    SEND_MESSAGE,
    TRANSMIT_PRESCRIPTION,
    WRITE_EHR_RECORDS,
)


@dataclass
class Stream:
    """One journey's records with their chain."""

    records: list[EventRecord] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The hash of the last record."""
        return self.hashes[-1] if self.hashes else GENESIS

    @property
    def types(self) -> list[str]:
        """The types of all records, in order."""
        return [record.header.type for record in self.records]

    def put(self, records: tuple[EventRecord, ...]) -> None:
        """Chain and keep these."""
        for record in records:
            linked = self.head + record.model_dump_json()
            self.hashes.append(hashlib.sha256(linked.encode()).hexdigest())
            self.records.append(record)

    def find(self, command_id: UUID) -> AppendResult | None:
        """What a command came to."""
        found = [n for n, record in enumerate(self.records) if record.header.command_id == command_id]
        if not found:
            return None
        first, last = found[0], found[-1]
        return AppendResult(
            status="duplicate_command",
            first=first + 1,
            last=last + 1,
            chain_head=self.hashes[last],
            types=tuple(self.types[first : last + 1]),
            request_digest=self.records[first].content.request_digest,
        )

    def append(self, request: AppendRequest) -> AppendResult:
        """Append all or nothing, once."""
        first = request.records[0].header.sequence
        last = request.records[-1].header.sequence
        if known := self.find(request.records[0].header.command_id):
            same = tuple(self.records[first - 1 : last]) == request.records
            return known.model_copy(update={"status": "appended"}) if same else known
        if first != len(self.records) + 1 or request.expected_head != self.head:
            reason = "log_behind" if first > len(self.records) + 1 else "log_ahead"
            return AppendResult(
                status="diverged", reason=reason, first=first, last=len(self.records), chain_head=self.head
            )
        self.put(request.records)
        return AppendResult(
            status="appended", first=first, last=last, chain_head=self.head, types=tuple(self.types[first - 1 : last])
        )


class FakeLog:
    """The ledger's activities. ``down`` journeys get no answer; of ``deaf`` ones the next answer is lost."""

    def __init__(self) -> None:
        self.streams: dict[UUID, Stream] = defaultdict(Stream)
        self.down: set[UUID] = set()
        self.deaf: set[UUID] = set()
        self.asked: dict[UUID, list[AppendRequest]] = defaultdict(list)

    @activity.defn(name=APPEND_EVENTS)
    async def append_events(self, request: AppendRequest) -> AppendResult:
        """Append, or fail as told."""
        self.asked[request.journey_id].append(request)
        if request.journey_id in self.down:
            raise ConnectionError("the log is down")
        result = self.streams[request.journey_id].append(request)
        if request.journey_id in self.deaf:
            self.deaf.discard(request.journey_id)
            raise ConnectionError("committed, but nobody heard")
        return result

    @activity.defn(name=FIND_RECEIPT)
    async def find_receipt(self, journey_id: UUID, command_id: UUID) -> AppendResult | None:
        """Find, or fail as told."""
        if journey_id in self.down:
            raise ConnectionError("the log is down")
        return self.streams[journey_id].find(command_id)


_OUTCOMES: dict[str, EffectOutcome] = {
    WRITE_EHR_RECORDS: EhrWritten(references=("Bundle/1",)),
    SEND_MESSAGE: MessageAccepted(message_id="message-1"),
    TRANSMIT_PRESCRIPTION: PrescriptionSent(message_id="newrx-1", status_code="000"),
    QUERY_PDMP: PdmpAnswered(query_id="pdmp-1", states=("NY",), outcome="clear", prescribers=1, overlapping=False),
    PAGE_ON_CALL: Paged(page_id="page-1"),
}


class Outside:
    """Every outside system at once: records each call, sends each key once."""

    def __init__(self) -> None:
        self.calls: dict[UUID, list[EffectCall]] = defaultdict(list)
        self.sent: dict[str, EffectOutcome] = {}
        self._mishaps: dict[tuple[UUID, str], deque[str | EffectOutcome]] = defaultdict(deque)
        self._gates: dict[tuple[UUID, str], asyncio.Event] = {}

    def fail(self, journey_id: UUID, kind: str, times: int = 1) -> None:
        """Do not answer the next attempts, and do nothing."""
        self._mishaps[journey_id, kind].extend(["fail"] * times)

    def lose_answer(self, journey_id: UUID, kind: str) -> None:
        """Do what is asked at the next attempt, and do not answer."""
        self._mishaps[journey_id, kind].append("lose")

    def answer(self, journey_id: UUID, kind: str, outcome: EffectOutcome) -> None:
        """Give this answer to the next attempt."""
        self._mishaps[journey_id, kind].append(outcome)

    def hold(self, journey_id: UUID, kind: str) -> asyncio.Event:
        """Keep every attempt waiting until the event is set."""
        return self._gates.setdefault((journey_id, kind), asyncio.Event())

    def keys(self, journey_id: UUID, kind: str) -> list[str]:
        """The keys of all attempts of this kind, in order."""
        return [call.key for call in self.calls[journey_id] if call.request.kind == kind]

    async def _do(self, call: EffectCall) -> EffectResult:
        place = (call.journey_id, call.request.kind)
        self.calls[call.journey_id].append(call)
        if place in self._gates:
            await self._gates[place].wait()
        mishap = self._mishaps[place].popleft() if self._mishaps[place] else None
        if mishap == "fail":
            raise ConnectionError("no answer")
        before = call.key in self.sent
        told = mishap if mishap is not None and not isinstance(mishap, str) else None
        outcome = self.sent.setdefault(call.key, told or _OUTCOMES[call.request.kind])
        if mishap == "lose":
            raise ConnectionError("done, but nobody heard")
        return EffectResult(key=call.key, outcome=outcome, was_sent_before=before)

    @activity.defn(name=WRITE_EHR_RECORDS)
    async def write_ehr_records(self, call: EffectCall) -> EffectResult:
        return await self._do(call)

    @activity.defn(name=SEND_MESSAGE)
    async def send_message(self, call: EffectCall) -> EffectResult:
        return await self._do(call)

    @activity.defn(name=TRANSMIT_PRESCRIPTION)
    async def transmit_prescription(self, call: EffectCall) -> EffectResult:
        return await self._do(call)

    @activity.defn(name=QUERY_PDMP)
    async def query_pdmp(self, call: EffectCall) -> EffectResult:
        return await self._do(call)

    @activity.defn(name=PAGE_ON_CALL)
    async def page_on_call(self, call: EffectCall) -> EffectResult:
        return await self._do(call)

    @property
    def effects(self) -> list[Any]:
        """The activities of the effects' queue."""
        return [self.write_ehr_records, self.send_message, self.transmit_prescription, self.query_pdmp]
