"""An append through the log, beside the least that could keep the same bytes: one INSERT and its commit.

Both sides send the course of V1, one command after the other, on the same server in the same run. ``statement`` is
the same call of ``append_events`` with everything sealed beforehand, so that what the database does and what this
process does can be told apart. Eight clients are eight journeys in one process, as a worker has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import LiteralString
from uuid import uuid4

from benchmarks.course import KEY, Course, Step, appends
from benchmarks.database import CLIENTS, Database
from benchmarks.measure import Contestant, Figure, Samples, alternate, figure, per_second, ratio
from store.log import EventLog
from store.pool import Pool, fetch_one
from store.queries import load

ROUNDS = 7
APPENDS_OF_ONE = 200
APPENDS_OF_EACH = 80
_STATEMENT = load("log")["append_events"]
_INSERT: LiteralString = "INSERT INTO bare_rows VALUES (%b, %b::bigint, %b)"

Send = Callable[[Step, int], Awaitable[object]]
"""Sends one append, as the client of this number."""


async def figures(course: Course, database: Database) -> list[Figure]:
    """Measure one client, then eight."""
    found = []
    for who, clients, most in (("one client", 1, APPENDS_OF_ONE), ("eight clients", CLIENTS, APPENDS_OF_EACH)):
        async with database.pool(clients) as pool:
            samples = await alternate(_contestants(course, database, pool, clients, most), ROUNDS)
        found += _summed_up(who, samples)
    return found


def _summed_up(who: str, samples: Samples) -> list[Figure]:
    return [
        figure(f"raw insert, {who}", "commits/s", samples["raw"]),
        figure(f"append, {who}", "appends/s", samples["append"]),
        ratio(f"append / raw insert, {who}", samples, "append", "raw"),
        ratio(f"its statement alone / raw insert, {who}", samples, "statement", "raw"),
    ]


def _contestants(course: Course, database: Database, pool: Pool, clients: int, most: int) -> dict[str, Contestant]:
    log = EventLog(pool)

    async def append(step: Step, _client: int) -> None:
        result = await log.append(step.request, KEY)
        assert result.status == "appended", result.status

    async def statement(step: Step, _client: int) -> None:
        row = await fetch_one(pool, _STATEMENT, step.parameters)
        assert row is not None
        assert row[0] == "appended", row[0]

    async def raw(step: Step, client: int) -> None:
        first = step.request.records[0].header.sequence
        await database.bare[client].execute(_INSERT, (step.request.journey_id, first, step.stored))

    def contestant(send: Send) -> Contestant:
        async def sample() -> float:
            journeys = [appends(course, uuid4(), most) for _ in range(clients)]
            work = asyncio.gather(*(_send_all(steps, send, client) for client, steps in enumerate(journeys)))
            return await per_second(sum(map(len, journeys)), work)

        return sample

    return {"raw": contestant(raw), "append": contestant(append), "statement": contestant(statement)}


async def _send_all(steps: list[Step], send: Send, client: int) -> None:
    for step in steps:
        await send(step, client)
