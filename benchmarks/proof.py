"""Proving a course and opening it: what an audit, a rehydration and a read of one journey wait for."""

from __future__ import annotations

import hashlib
from uuid import uuid4

from benchmarks.course import KEY, Course, appends
from benchmarks.database import Database
from benchmarks.measure import Figure, alternate, figure, ratio, repeated, repeated_async
from domain import journey as rules
from domain.journey import State
from store.log import EventLog
from vault import chain

ROUNDS = 7
SECONDS_MIN = 0.25


async def figures(course: Course, database: Database) -> list[Figure]:
    """Append the course once, then prove, read and fold it again and again."""
    async with database.pool(clients=1) as pool:
        return await _figures(course, EventLog(pool))


async def _figures(course: Course, log: EventLog) -> list[Figure]:
    journey_id = uuid4()
    for step in appends(course, journey_id):
        await log.append(step.request, KEY)
    rows = await log.read_raw(journey_id)
    events, bare = len(rows), [row.header + row.ciphertext for row in rows]

    def hash_only() -> None:
        for each in bare:
            hashlib.sha256(each).digest()

    async def verify_stored() -> None:
        assert chain.verify(await log.read_raw(journey_id)) is None

    async def fold_stored() -> State:
        return rules.fold(initial, await log.read(journey_id, KEY))

    initial = course.initial.model_copy(update={"journey_id": journey_id})
    samples = await alternate(
        {
            "hash": repeated(events, hash_only, seconds_min=SECONDS_MIN),
            "verify": repeated(events, lambda: chain.verify(rows), seconds_min=SECONDS_MIN),
            "verify stored": repeated_async(events, verify_stored, seconds_min=SECONDS_MIN),
            "open": repeated_async(events, lambda: log.read(journey_id, KEY), seconds_min=SECONDS_MIN),
            "open and fold": repeated_async(events, fold_stored, seconds_min=SECONDS_MIN),
        },
        ROUNDS,
    )
    return [
        figure("chain verified, in memory", "events/s", samples["verify"]),
        ratio("chain verified in memory / bare SHA-256 of the same bytes", samples, "verify", "hash"),
        figure("chain verified, from PostgreSQL", "events/s", samples["verify stored"]),
        figure("opened, from PostgreSQL", "events/s", samples["open"]),
        figure("opened and folded, from PostgreSQL", "events/s", samples["open and fold"]),
        ratio("opened and folded / opened", samples, "open and fold", "open"),
    ]
