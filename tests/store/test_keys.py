"""Patients, journeys and their keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from store.errors import StoreError
from store.keys import KeyStore
from store.pool import Pool, fetch_all
from tests.store.conftest import Database, pooled
from tests.vault.records import content, header
from vault.errors import KeyShreddedError, KeyUnknownError
from vault.kek import LocalFileKek
from vault.sealing import open_sealed, seal

SUBJECT = "subject-1"
DIGEST = "ab" * 32


def keks(path: Path) -> LocalFileKek:
    """Open the KEK file of this folder."""
    return LocalFileKek.open(path / "kek.json", create=True)


async def counted(pool: Pool) -> tuple[int, ...]:
    """Count patients, keys and journeys."""
    query = "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM data_keys), (SELECT count(*) FROM journeys)"
    return tuple((await fetch_all(pool, query))[0])


async def test_an_opened_journey_has_a_patient_and_a_key(keys: KeyStore) -> None:
    """Opening makes all three at once, and the key seals and opens."""
    journey_id = uuid4()
    opened = await keys.open_journey(journey_id, SUBJECT, uuid4(), DIGEST)
    key = await keys.key_for_journey(journey_id)

    assert (journey_id, 1, False, DIGEST) == (
        opened.journey_id,
        opened.key_version,
        opened.already,
        opened.request_digest,
    )
    assert key == await keys.key_by_id(key.key_id)
    assert content() == open_sealed(key, header(), seal(key, header(), content()))


async def test_a_retry_opens_the_same_journey(keys: KeyStore) -> None:
    """The same subject with the same key gets the first journey and the first request's digest, to be compared."""
    idempotency_key = uuid4()
    first = await keys.open_journey(uuid4(), SUBJECT, idempotency_key, DIGEST)
    again = await keys.open_journey(uuid4(), SUBJECT, idempotency_key, "cd" * 32)

    assert first.model_copy(update={"already": True}) == again


async def test_an_idempotency_key_belongs_to_its_subject(keys: KeyStore) -> None:
    """Two people may draw the same idempotency key: they open two journeys, with two patients and two keys."""
    idempotency_key = uuid4()
    mine = await keys.open_journey(uuid4(), SUBJECT, idempotency_key, DIGEST)
    yours = await keys.open_journey(uuid4(), "subject-2", idempotency_key, DIGEST)

    assert not yours.already
    assert mine.patient_id != yours.patient_id
    assert await keys.key_for_journey(mine.journey_id) != await keys.key_for_journey(yours.journey_id)


async def test_opening_at_once_opens_one_journey(keys_database: Database, tmp_path: Path) -> None:
    """Concurrent retries end with one journey, one patient and one key, and all learn its id."""
    idempotency_key = uuid4()
    async with pooled(keys_database.app) as pool:
        stores = [KeyStore(pool, keks(tmp_path)) for _ in range(8)]

        opened = await asyncio.gather(
            *(store.open_journey(uuid4(), SUBJECT, idempotency_key, DIGEST) for store in stores)
        )

        assert 1 == len({each.journey_id for each in opened})
        assert 1 == [each.already for each in opened].count(False)
        assert (1, 1, 1) == await counted(pool)


async def test_a_journey_id_is_nobody_elses(keys: KeyStore) -> None:
    """An id that is taken is refused, and nothing of the attempt stays."""
    journey_id = uuid4()
    await keys.open_journey(journey_id, SUBJECT, uuid4(), DIGEST)

    with pytest.raises(StoreError, match="journeys_pkey"):
        await keys.open_journey(journey_id, SUBJECT, uuid4(), DIGEST)
    assert (1, 1, 1) == await counted(keys._pool)


async def test_another_process_reads_the_same_keys(keys_database: Database, tmp_path: Path) -> None:
    """Keys live in the database, wrapped: a second process with the KEK file opens them, one without cannot."""
    (tmp_path / "other").mkdir()
    async with pooled(keys_database.app) as pool:
        first = KeyStore(pool, keks(tmp_path))
        opened = await first.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)
        key = await first.key_for_journey(opened.journey_id)

        assert key == await KeyStore(pool, keks(tmp_path)).key_for_journey(opened.journey_id)
        with pytest.raises(KeyUnknownError, match="No KEK"):
            await KeyStore(pool, keks(tmp_path / "other")).key_for_journey(opened.journey_id)
        stored = await fetch_all(pool, "SELECT wrapped FROM data_keys")
        assert key.secret not in stored[0][0]


async def test_the_system_has_one_key(keys_database: Database, tmp_path: Path) -> None:
    """The system's key is made once, also by processes that ask at the same time."""
    async with pooled(keys_database.app) as pool:
        found = await asyncio.gather(*(KeyStore(pool, keks(tmp_path)).system_key() for _ in range(6)))

        assert 1 == len({key.key_id for key in found})
        assert found[0] == await KeyStore(pool, keks(tmp_path)).key_by_id(found[0].key_id)
        assert (0, 1, 0) == await counted(pool)


async def test_unknown_keys_are_unknown(keys: KeyStore) -> None:
    """A journey or key that is not here is an error that names it."""
    unknown = uuid4()

    with pytest.raises(KeyUnknownError, match=f"journey {unknown}"):
        await keys.key_for_journey(unknown)
    with pytest.raises(KeyUnknownError, match=f"key {unknown}"):
        await keys.key_by_id(unknown)


async def test_a_cached_key_needs_no_database(keys_database: Database, tmp_path: Path) -> None:
    """A key that was read stays at hand for a while, and no longer than it was told."""
    async with pooled(keys_database.app) as pool:
        caching = KeyStore(pool, keks(tmp_path))
        forgetful = KeyStore(pool, keks(tmp_path), cache_seconds=-1)
        opened = await caching.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)
        key = await caching.key_for_journey(opened.journey_id)
        await forgetful.key_for_journey(opened.journey_id)

    assert key == await caching.key_for_journey(opened.journey_id)
    with pytest.raises(StoreError):
        await forgetful.key_for_journey(opened.journey_id)


async def test_the_cache_is_bounded(keys_database: Database, tmp_path: Path) -> None:
    """No more keys stand in memory than allowed: the least lately read goes first."""
    async with pooled(keys_database.app) as pool:
        store = KeyStore(pool, keks(tmp_path), cache_size=2)
        journeys = [(await store.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)).journey_id for _ in range(3)]
        for journey_id in (journeys[0], journeys[1], journeys[0], journeys[2]):
            await store.key_for_journey(journey_id)

    await store.key_for_journey(journeys[0])
    await store.key_for_journey(journeys[2])
    with pytest.raises(StoreError):
        await store.key_for_journey(journeys[1])


@pytest.fixture
async def shredded(keys: KeyStore, keys_database: Database, tmp_path: Path) -> tuple[UUID, UUID, UUID]:
    """Shred a patient; gives journey, patient and key."""
    opened = await keys.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)
    key = await keys.key_for_journey(opened.journey_id)
    async with pooled(keys_database.owner) as owner:
        assert [key.key_id] == await KeyStore(owner, keks(tmp_path)).shred(opened.patient_id)
        assert [] == await KeyStore(owner, keks(tmp_path)).shred(opened.patient_id)
    return opened.journey_id, opened.patient_id, key.key_id


async def test_a_shredded_key_cannot_open(keys: KeyStore, shredded: tuple[UUID, UUID, UUID]) -> None:
    """After a shred the key is destroyed by journey and by id, in so many words, and its bytes are gone."""
    journey_id, _, key_id = shredded
    fresh = KeyStore(keys._pool, keys._provider)

    with pytest.raises(KeyShreddedError, match=str(key_id)):
        await fresh.key_for_journey(journey_id)
    with pytest.raises(KeyShreddedError, match="erased, for good"):
        await fresh.key_by_id(key_id)
    assert [(None,)] == await fetch_all(keys._pool, "SELECT wrapped FROM data_keys")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE data_keys SET wrapped = 'x', shredded_at = NULL",
        "UPDATE data_keys SET shredded_at = now()",
        "DELETE FROM data_keys",
        "DELETE FROM patients",
        "UPDATE journeys SET opened_by = 'x'",
        "TRUNCATE journeys, data_keys, patients",
    ],
)
async def test_a_tombstone_stays(shredded: tuple[UUID, UUID, UUID], keys_database: Database, statement: str) -> None:
    """Not even the owner brings a shredded key back, moves its date, or removes who it belonged to."""
    async with keys_database.connect(keys_database.owner) as owner:
        with pytest.raises(psycopg.DatabaseError, match="is refused: keys and journeys are kept"):
            await owner.execute(statement.encode())


async def test_the_runtime_role_cannot_shred(keys: KeyStore) -> None:
    """Destroying a key is no runtime right."""
    opened = await keys.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)

    with pytest.raises(StoreError, match="InsufficientPrivilege"):
        await keys.shred(opened.patient_id)


async def test_a_live_key_keeps_its_owner(keys: KeyStore, keys_database: Database) -> None:
    """A key may be wrapped anew under another KEK, and never given to another patient."""
    await keys.open_journey(uuid4(), SUBJECT, uuid4(), DIGEST)
    async with keys_database.connect(keys_database.owner) as owner:
        await owner.execute("UPDATE data_keys SET kek_id = 'newer', wrapped = 'rewrapped'")
        for change in ("patient_id = NULL", "version = 2", "key_id = gen_random_uuid()"):
            with pytest.raises(psycopg.DatabaseError, match="only shredded or re-wrapped"):
                await owner.execute(f"UPDATE data_keys SET {change}".encode())
