"""Whatever is done to a stored row, verify names the journey and the place, and goes on with the other journeys."""

from __future__ import annotations

from typing import LiteralString
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from audit.report import FINDING, NOTHING_CHECKED, OK, UNAVAILABLE
from audit.verify import verify
from tests.audit.conftest import Clinic

FLIPS: dict[str, LiteralString] = {
    "content": "UPDATE events SET ciphertext = set_byte(ciphertext, 20, get_byte(ciphertext, 20) # 1)",
    "header": "UPDATE events SET header = set_byte(header, 12, get_byte(header, 12) # 1)",
    "hash": "UPDATE events SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)",
    "column": "UPDATE events SET actor_role = 'patient'",
}
SWAP: LiteralString = "UPDATE events SET sequence = CASE sequence WHEN -2 THEN 3 WHEN -3 THEN 2 ELSE -sequence END"
HERE: LiteralString = " WHERE journey_id = %(journey)s AND sequence = %(sequence)s"


async def run(connection: AsyncConnection, statement: LiteralString, clinic: Clinic, sequence: int = 2) -> None:
    """Do something to one row of ``journey``."""
    await connection.execute(statement, {"journey": clinic.journey, "sequence": sequence})


async def test_a_sound_log_verifies(clinic: Clinic) -> None:
    """Both journeys are checked with all their events, contents included, and nothing is found."""
    report = await verify(clinic.log, clinic.keys)
    rows = [len(await clinic.log.events.read_raw(journey)) for journey in (clinic.journey, clinic.other)]

    assert [] == report.findings
    assert OK == report.exit_code
    assert 2 == report.counts["journeys"]
    assert sum(rows) == report.counts["events"] == report.counts["contents_opened"]


@pytest.mark.parametrize("where", FLIPS)
async def test_one_flipped_byte_is_found(clinic: Clinic, tampering: AsyncConnection, where: str) -> None:
    """One changed byte in any part of one row is a finding at that row, and the other journey is still verified."""
    await run(tampering, FLIPS[where] + HERE, clinic)
    report = await verify(clinic.log, clinic.keys)

    assert FINDING == report.exit_code
    assert (clinic.journey, 2) in {(found.journey_id, found.sequence) for found in report.findings}
    assert {clinic.journey} == {found.journey_id for found in report.findings}
    assert 2 == report.counts["journeys"]


@pytest.mark.parametrize("where", ["content", "header", "hash", "column"])
async def test_it_is_found_without_keys_too(clinic: Clinic, tampering: AsyncConnection, where: str) -> None:
    """An auditor without any key finds the same flipped byte."""
    await run(tampering, FLIPS[where] + HERE, clinic)
    report = await verify(clinic.log, None, [clinic.journey])

    assert (clinic.journey, 2) in {(found.journey_id, found.sequence) for found in report.findings}
    assert 0 == report.counts["contents_opened"]


async def test_a_deleted_row_is_found(clinic: Clinic, tampering: AsyncConnection) -> None:
    """A missing row is named by its own sequence, and nothing else is blamed."""
    await run(tampering, "DELETE FROM events" + HERE, clinic, 3)
    report = await verify(clinic.log, clinic.keys)

    assert [("EVENTS_MISSING", clinic.journey, 3)] == [(f.code, f.journey_id, f.sequence) for f in report.findings]


async def test_a_cut_tail_is_found(clinic: Clinic, tampering: AsyncConnection) -> None:
    """The last row's absence is noticed: the summary, written with it, knows of it."""
    last = (await clinic.log.events.head(clinic.journey)).version
    await run(tampering, "DELETE FROM events" + HERE, clinic, last)
    report = await verify(clinic.log, clinic.keys)

    assert [("EVENTS_MISSING", clinic.journey, last)] == [(f.code, f.journey_id, f.sequence) for f in report.findings]


async def test_a_journey_without_rows_is_found(clinic: Clinic, tampering: AsyncConnection) -> None:
    """A journey of which every row was removed is missing from its first event on."""
    await run(tampering, "DELETE FROM events WHERE journey_id = %(journey)s", clinic)
    report = await verify(clinic.log, clinic.keys)

    assert [(clinic.journey, 1)] == [(f.journey_id, f.sequence) for f in report.findings]


async def test_two_swapped_rows_are_found(clinic: Clinic, tampering: AsyncConnection) -> None:
    """Both of two rows that took each other's place are named; the one after them no longer follows, either."""
    places = " WHERE journey_id = %(journey)s AND abs(sequence) IN (2, 3)"
    await run(tampering, "ALTER TABLE events DROP CONSTRAINT IF EXISTS events_sequence_check", clinic)
    for _ in range(2):  # by way of negative numbers, since a place can be taken once
        await run(tampering, SWAP + places, clinic)
    report = await verify(clinic.log, clinic.keys)

    assert {(clinic.journey, place) for place in (2, 3, 4)} == {(f.journey_id, f.sequence) for f in report.findings}
    assert [2, 3] == [found.sequence for found in report.findings if found.code == "COLUMNS_DIFFER"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE journey_summaries SET stage = 'closed' WHERE journey_id = %(journey)s", "SUMMARY_DIFFERS"),
        ("DELETE FROM worklist_items WHERE journey_id = %(journey)s", "WORKLIST_DIFFERS"),
    ],
)
async def test_a_changed_read_model_is_found(
    clinic: Clinic, tampering: AsyncConnection, statement: LiteralString, code: str
) -> None:
    """A read model that is not what the events give is a finding at the journey's last event."""
    last = (await clinic.log.events.head(clinic.journey)).version
    await run(tampering, statement, clinic)
    report = await verify(clinic.log, clinic.keys)

    assert [(code, clinic.journey, last)] == [(f.code, f.journey_id, f.sequence) for f in report.findings]


async def test_an_unknown_journey_is_not_ok(clinic: Clinic) -> None:
    """Asked for a journey that is not there, verify says so and does not say ok."""
    report = await verify(clinic.log, clinic.keys, [uuid4()])

    assert FINDING == report.exit_code
    assert 0 == report.counts["journeys"]


async def test_an_empty_log_is_not_ok(clinic: Clinic, tampering: AsyncConnection) -> None:
    """Nothing to check is said as that: unavailable, not ok."""
    for table in ("events", "journey_summaries"):
        await tampering.execute(f"DELETE FROM {table}".encode())
    report = await verify(clinic.log, clinic.keys)

    assert [NOTHING_CHECKED] == [found.code for found in report.findings]
    assert UNAVAILABLE == report.exit_code
