"""Keys in memory: one per journey, one for the system, all forgotten with the process."""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

from vault.keys import DataKey


class MemoryKeys:
    """A ``KeySource`` that makes a journey's key when it is first asked for."""

    def __init__(self) -> None:
        self._system = DataKey.generate(uuid4(), 1)
        self._namespace = uuid4()
        self._known = {self._system.key_id: self._system}

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        key_id = uuid5(self._namespace, str(journey_id))
        return self._known.setdefault(key_id, DataKey.generate(key_id, 1))

    async def key_by_id(self, key_id: UUID) -> DataKey:
        return self._known[key_id]

    async def system_key(self) -> DataKey:
        return self._system
