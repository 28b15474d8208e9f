"""The ledger's activities: the journey's own key goes along, a divergence is an answer, an outage stays one."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from activities.effects import Claims
from activities.ledger import LedgerActivities, Log
from domain.envelope import (
    GENESIS,
    SYSTEM,
    AppendRequest,
    AppendResult,
    Content,
    EventRecord,
    Header,
    JourneySummary,
    PolicyRef,
    Purpose,
    Sensitivity,
)
from store.claims import EffectClaims
from store.errors import StoreUnavailableError
from store.log import EventLog
from tests.runtime.keyring import MemoryKeys
from vault.keys import DataKey

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DIVERGED = AppendResult(status="diverged", first=4, last=9, chain_head="a" * 64, reason="log_ahead")


def the_stores_fit(log: EventLog, claims: EffectClaims) -> tuple[Log, Claims]:
    """Let mypy prove that the real log and claims are what the activities ask for."""
    return log, claims


class ScriptedLog:
    """Answers or fails as told, and remembers under which key it was asked."""

    def __init__(self, answer: AppendResult | Exception) -> None:
        self._answer = answer
        self.keys: list[DataKey] = []

    async def append(self, request: AppendRequest, key: DataKey) -> AppendResult:
        return self._say(key)

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None:
        return self._say(key)

    def _say(self, key: DataKey) -> AppendResult:
        self.keys.append(key)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def append_request(journey_id: UUID) -> AppendRequest:
    """One event of a journey."""
    header = Header(
        event_id=uuid4(),
        journey_id=journey_id,
        sequence=1,
        type="referral_received.v1",
        occurred_at=AT,
        recorded_at=AT,
        actor=SYSTEM,
        purpose=Purpose.TREAT,
        command_id=uuid4(),
        policy=PolicyRef(version="1", digest="b" * 64),
        sensitivity=Sensitivity.NORMAL,
        key_version=1,
    )
    summary = JourneySummary(
        journey_id=journey_id, version=1, stage="referral", protocol="ketamine_sl", policy_version="1", opened_at=AT
    )
    record = EventRecord(header=header, content=Content(data={}, request_digest="c" * 64))
    return AppendRequest(journey_id=journey_id, expected_head=GENESIS, records=(record,), summary=summary)


async def test_divergence_is_an_answer() -> None:
    """The workflow is told that the ledgers disagree; nothing is raised, so nothing is retried."""
    journey_id, keys, log = uuid4(), MemoryKeys(), ScriptedLog(DIVERGED)
    result = await LedgerActivities(log, keys).append_events(append_request(journey_id))

    assert DIVERGED == result
    assert [await keys.key_for_journey(journey_id)] == log.keys


async def test_receipt_is_asked_with_the_journeys_key() -> None:
    """The receipt is opened with the key of the journey that it belongs to."""
    journey_id, keys, log = uuid4(), MemoryKeys(), ScriptedLog(DIVERGED)

    assert DIVERGED == await LedgerActivities(log, keys).find_receipt(journey_id, uuid4())
    assert [await keys.key_for_journey(journey_id)] == log.keys


async def test_outage_is_raised_as_it_is() -> None:
    """An unreachable log raises its own error, which Temporal retries for ever."""
    outage = StoreUnavailableError("down")

    with pytest.raises(StoreUnavailableError) as caught:
        await LedgerActivities(ScriptedLog(outage), MemoryKeys()).append_events(append_request(uuid4()))
    assert outage is caught.value
