"""What a log that was rewritten consistently hides from itself, Temporal's history tells."""

from __future__ import annotations

import pytest
from psycopg import AsyncConnection

from audit.compare import compare
from audit.report import FINDING, OK
from audit.verify import verify
from domain.envelope import Purpose
from store.log import StoredEvent
from tests.audit.conftest import Clinic, refold
from vault.canonical import header_bytes, parse_header
from vault.chain import link


async def test_sound_ledgers_agree(clinic: Clinic) -> None:
    """Every event of both journeys is compared, none is left uncovered, and nothing is found."""
    report = await compare(clinic.log, clinic.keys, clinic.client)
    rows = [len(await clinic.log.events.read_raw(journey)) for journey in (clinic.journey, clinic.other)]

    assert [] == report.findings
    assert OK == report.exit_code
    assert sum(rows) == report.counts["events_compared"]
    assert 0 == report.counts["events_not_covered"]


async def forge_purpose(clinic: Clinic, connection: AsyncConnection, sequence: int) -> None:
    """Change why one event was done, and everything that would tell: columns and all later hashes."""
    rows = await clinic.log.events.read_raw(clinic.journey)
    previous = rows[sequence - 2].hash
    for row in rows[sequence - 1 :]:
        header = parse_header(row.header)
        if row.sequence == sequence:
            header = header.model_copy(update={"purpose": Purpose.PATIENT_REQUEST})
        encoded = header_bytes(header)
        previous = link(previous, encoded, row.ciphertext)
        await connection.execute(
            "UPDATE events SET header = %s, hash = %s, purpose = %s WHERE journey_id = %s AND sequence = %s",
            (encoded, previous, header.purpose.value, clinic.journey, row.sequence),
        )


async def test_a_consistent_forgery_is_found_by_compare_alone(clinic: Clinic, tampering: AsyncConnection) -> None:
    """A header rewritten together with its columns and the chain verifies; the history knows what it was."""
    await forge_purpose(clinic, tampering, 3)
    verified = await verify(clinic.log, clinic.keys)
    compared = await compare(clinic.log, clinic.keys, clinic.client)

    assert [] == verified.findings
    assert FINDING == compared.exit_code
    assert ("LEDGERS_DIFFER", clinic.journey, 3) == (
        compared.findings[0].code,
        compared.findings[0].journey_id,
        compared.findings[0].sequence,
    )


async def test_a_consistently_cut_tail_is_found_by_compare_alone(clinic: Clinic, tampering: AsyncConnection) -> None:
    """The last event removed together with its traces in the read models verifies; the history has it acknowledged."""
    last = (await clinic.log.events.head(clinic.journey)).version
    await tampering.execute("DELETE FROM events WHERE journey_id = %s AND sequence = %s", (clinic.journey, last))
    await refold(clinic)
    verified = await verify(clinic.log, clinic.keys)
    compared = await compare(clinic.log, clinic.keys, clinic.client)

    assert [] == verified.findings
    assert [("MISSING_IN_LOG", clinic.journey, last)] == [(f.code, f.journey_id, f.sequence) for f in compared.findings]


@pytest.mark.parametrize("first", [True, False])
async def test_a_removed_journey_is_found(clinic: Clinic, tampering: AsyncConnection, *, first: bool) -> None:
    """A journey of which the log knows nothing any more is still known to Temporal, event by event."""
    journey = clinic.journey if first else clinic.other
    rows = await clinic.log.events.read_raw(journey)
    await tampering.execute("DELETE FROM events WHERE journey_id = %s", (journey,))
    await tampering.execute("DELETE FROM journey_summaries WHERE journey_id = %s", (journey,))
    report = await compare(clinic.log, clinic.keys, clinic.client)

    assert [(journey, row.sequence) for row in rows] == [(f.journey_id, f.sequence) for f in report.findings]


async def test_an_event_that_was_never_decided_is_found(clinic: Clinic, tampering: AsyncConnection) -> None:
    """A well-sealed, well-chained event that no workflow asked for is a finding: a running journey vouches for all."""
    rows = await clinic.log.events.read_raw(clinic.journey)
    await tampering.execute(*_forged(rows[-1]))
    report = await compare(clinic.log, clinic.keys, clinic.client, [clinic.journey])

    assert [("NOT_IN_HISTORY", len(rows) + 1)] == [(f.code, f.sequence) for f in report.findings]


def _forged(last: StoredEvent) -> tuple[str, tuple[object, ...]]:
    """The last event once more, one place further."""
    header = parse_header(last.header).model_copy(update={"sequence": last.sequence + 1})
    encoded = header_bytes(header)
    same = "type, occurred_at, recorded_at, actor_subject, actor_role, purpose, command_id, causation_id"
    same += ", policy_version, sensitivity, key_version, ciphertext"
    statement = (
        f"INSERT INTO events (journey_id, sequence, event_id, header, hash, {same}) "
        f"SELECT journey_id, sequence + 1, gen_random_uuid(), %s, %s, {same} "
        "FROM events WHERE journey_id = %s AND sequence = %s"
    )
    new_hash = link(last.hash, encoded, last.ciphertext)
    return statement, (encoded, new_hash, last.journey_id, last.sequence)
