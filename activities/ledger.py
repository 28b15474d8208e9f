"""The event log, as activities. Whatever fails here is raised as it is: an append never gives up (I4).

That a log has diverged is an answer, not a failure: the journey must hear of it and close itself to commands.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from temporalio import activity

from domain.envelope import AppendRequest, AppendResult
from runtime.names import APPEND_EVENTS, FIND_RECEIPT
from vault.keys import DataKey, KeySource


class Log(Protocol):
    """What ``store.log.EventLog`` does for a journey."""

    async def append(self, request: AppendRequest, key: DataKey) -> AppendResult:
        """Append, or acknowledge again what was appended before."""
        ...

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None:
        """What a command came to, as ``duplicate_command``."""
        ...


class LedgerActivities:
    """``append_events`` and ``find_receipt``."""

    def __init__(self, log: Log, keys: KeySource) -> None:
        self._log = log
        self._keys = keys

    @activity.defn(name=APPEND_EVENTS)
    async def append_events(self, request: AppendRequest) -> AppendResult:
        """Append one decision's events. The same request again changes nothing and gets the same answer."""
        key = await self._keys.key_for_journey(request.journey_id)
        return await self._log.append(request, key)

    @activity.defn(name=FIND_RECEIPT)
    async def find_receipt(self, journey_id: UUID, command_id: UUID) -> AppendResult | None:
        """Find what a command id that has left the snapshot came to; None when it was never decided."""
        key = await self._keys.key_for_journey(journey_id)
        return await self._log.receipt(journey_id, command_id, key)
