"""Whose journey it is, and the keys that open it: the other database.

Opening makes patient, data key and journey at once, before Temporal hears of it, so that no payload is ever sealed
under a key that a crash could lose. Keys are cached in memory for a while; a shred elsewhere is noticed when it ends.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, Rollback
from psycopg.rows import TupleRow
from uuid_utils.compat import uuid7

from domain.values import Value
from store.errors import StoreError
from store.pool import Pool, connection, fetch_all, fetch_one
from store.queries import load
from vault.errors import KeyShreddedError, KeyUnknownError
from vault.keys import DataKey, KeyProvider, WrappedKey

_SQL = load("keys")


class OpenedJourney(Value):
    """A journey that may be started. ``already`` when the same subject had opened it with the same key before.

    Compare ``request_digest`` with the request's: another one under the same idempotency key is a conflict.
    """

    journey_id: UUID
    patient_id: UUID
    key_version: int
    already: bool
    request_digest: str


class KeyStore:
    """A ``vault.keys.KeySource`` over the key database.

    ``cache_seconds`` bounds how long a key destroyed by another process is still used by this one, ``cache_size`` how
    many keys stand in this process's memory.
    """

    def __init__(
        self, pool: Pool, provider: KeyProvider, *, cache_seconds: float = 60.0, cache_size: int = 10_000
    ) -> None:
        self._pool = pool
        self._provider = provider
        self._cache = _Cache(cache_seconds, cache_size)

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        """Find the newest key of the journey's patient. Raises KeyUnknownError, KeyShreddedError."""
        return await self._key("key_for_journey", {"journey_id": journey_id}, f"journey {journey_id}")

    async def key_by_id(self, key_id: UUID) -> DataKey:
        """Find a key of whatever version. Raises KeyUnknownError, KeyShreddedError."""
        return await self._key("key_by_id", {"key_id": key_id}, f"key {key_id}")

    async def system_key(self) -> DataKey:
        """Find the system's key; made when it is first asked for."""
        try:
            return await self._key("system_key", {}, "the system")
        except KeyUnknownError:
            key = DataKey.generate(uuid7(), version=1)
            async with connection(self._pool) as borrowed:
                await self._insert_key(borrowed, key, patient_id=None)
            # Asked again rather than returned: another process may have been first.
            return await self._key("system_key", {}, "the system")

    async def open_journey(
        self, journey_id: UUID, subject: str, idempotency_key: UUID, request_digest: str
    ) -> OpenedJourney:
        """Make patient, data key and journey in one transaction, once per (subject, idempotency key).

        A retry, also a concurrent one, gets the journey that the first request opened, whatever id it brought.

        Raises:
            StoreError: ``journey_id`` is another journey's; draw a new one.

        """
        request = {"opened_by": subject, "idempotency_key": idempotency_key}
        if found := await self._opened(request):
            return found
        key, patient_id = DataKey.generate(uuid7(), version=1), uuid7()
        journey = {**request, "journey_id": journey_id, "patient_id": patient_id, "request_digest": request_digest}
        inserted = None
        async with connection(self._pool) as borrowed, borrowed.transaction() as transaction:
            await borrowed.execute(_SQL["insert_patient"], {"patient_id": patient_id})
            await self._insert_key(borrowed, key, patient_id)
            inserted = await (await borrowed.execute(_SQL["insert_journey"], journey)).fetchone()
            if inserted is None:
                raise Rollback(transaction)
        if inserted is None:
            return await self._opened_by_another(request)
        return OpenedJourney(
            journey_id=journey_id,
            patient_id=patient_id,
            key_version=key.version,
            already=False,
            request_digest=request_digest,
        )

    async def shred(self, patient_id: UUID) -> list[UUID]:
        """Destroy a patient's keys and return the ids of those destroyed now. Needs the owner's connection.

        What they sealed is erased everywhere, for good. Tombstones stay, and every chain still proves.
        """
        shredded = [row[0] for row in await fetch_all(self._pool, _SQL["shred"], {"patient_id": patient_id})]
        self._cache.clear()
        return shredded

    async def _opened(self, request: Mapping[str, Any]) -> OpenedJourney | None:
        row = await fetch_one(self._pool, _SQL["opened"], request)
        if row is None:
            return None
        journey_id, patient_id, request_digest, key_version = row
        return OpenedJourney(
            journey_id=journey_id,
            patient_id=patient_id,
            key_version=key_version,
            already=True,
            request_digest=request_digest,
        )

    async def _opened_by_another(self, request: Mapping[str, Any]) -> OpenedJourney:
        found = await self._opened(request)
        if found is None:
            raise StoreError("A journey vanished while it was being opened: check who may delete in the key database.")
        return found

    async def _insert_key(self, borrowed: AsyncConnection[TupleRow], key: DataKey, patient_id: UUID | None) -> None:
        wrapped = await self._provider.wrap(key.key_id, key.secret)
        fields = {
            "key_id": key.key_id,
            "patient_id": patient_id,
            "version": key.version,
            "kek_id": wrapped.kek_id,
            "wrapped": wrapped.wrapped,
        }
        await borrowed.execute(_SQL["insert_key"], fields)

    async def _key(self, statement: str, params: Mapping[str, UUID], what: str) -> DataKey:
        place = (statement, *params.values())
        if key := self._cache.get(place):
            return key
        query: LiteralString = _SQL[statement]
        row = await fetch_one(self._pool, query, params)
        if row is None:
            raise KeyUnknownError(
                f"No key for {what} here: check that this process uses the key database of its environment, and that "
                "it was restored completely."
            )
        key_id, version, kek_id, wrapped = row
        if wrapped is None:
            raise KeyShreddedError(f"Key {key_id} for {what} was destroyed: what it sealed is erased, for good.")
        key = DataKey(key_id, version, await self._provider.unwrap(key_id, WrappedKey(kek_id, wrapped)))
        self._cache.put(place, key)
        return key


class _Cache:
    """Keys for a while: the least lately read goes first."""

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self._kept: OrderedDict[tuple[object, ...], tuple[float, DataKey]] = OrderedDict()

    def get(self, place: tuple[object, ...]) -> DataKey | None:
        kept = self._kept.get(place)
        if kept is None or kept[0] < time.monotonic():
            return None
        self._kept.move_to_end(place)
        return kept[1]

    def put(self, place: tuple[object, ...], key: DataKey) -> None:
        self._kept[place] = (time.monotonic() + self._seconds, key)
        self._kept.move_to_end(place)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        self._kept.clear()
