"""The log cannot be changed by those who use it, and shows it when somebody else has changed it."""

from __future__ import annotations

import psycopg
import pytest

from domain.envelope import GENESIS, Header
from store.log import EventLog, StoredEvent, _parameters
from store.pool import Pool
from tests.store.conftest import Database
from tests.vault.records import JOURNEY, KEY, request
from vault.canonical import header_bytes, parse_header
from vault.chain import GENESIS_HASH, link, verify

CHANGES = [
    "UPDATE events SET hash = hash",
    "UPDATE events SET ciphertext = '' WHERE false",
    "DELETE FROM events",
    "TRUNCATE events",
]
INSERTS = [
    "INSERT INTO events SELECT * FROM events",
    "SELECT insert_records(gen_random_uuid(), '', 1, gen_random_uuid(), '{}', '{}', '{}')",
    "SELECT put_projections(gen_random_uuid(), '{}', '[]')",
    "SELECT replace_projections(gen_random_uuid(), 1, '{}', '[]')",
    "UPDATE journey_summaries SET stage = 'closed'",
    "DELETE FROM worklist_items",
    "DELETE FROM effect_claims",
    "ALTER TABLE events DISABLE TRIGGER append_only",
    "DROP TABLE events",
]


@pytest.fixture
async def stored(log: EventLog) -> list[StoredEvent]:
    """Three records of two appends."""
    head = GENESIS
    for first, count in ((1, 2), (3, 1)):
        head = (await log.append(request(first=first, count=count, head=head), KEY)).chain_head
    return await log.read_raw(JOURNEY)


def columns(header: Header) -> tuple[object, ...]:
    """The columns that a header should have been stored under."""
    return (
        *(header.journey_id, header.sequence, header.event_id, header.type, header.occurred_at, header.recorded_at),
        *(header.actor.subject, header.actor.role, header.purpose, header.command_id, header.causation_id),
        *(header.policy.version, header.sensitivity, header.key_version),
    )


async def test_columns_are_the_headers(stored: list[StoredEvent]) -> None:
    """Every readable column equals the header that is chained, and the header's bytes are the canonical ones."""
    for row in stored:
        header = parse_header(row.header)
        assert columns(header) == row[3:]
        assert row.header == header_bytes(header)


async def test_the_stored_chain_proves_without_a_key(stored: list[StoredEvent], log: EventLog) -> None:
    """The rows follow from genesis to the head that the log reports."""
    assert verify(stored) is None
    assert stored[-1].hash.hex() == (await log.head(JOURNEY)).chain_head


async def test_database_and_vault_compute_the_same_link(log_database: Database) -> None:
    """The link in SQL is the link in Python, also for empty and long parts."""
    async with log_database.connect(log_database.owner) as owner:
        for header, ciphertext in ((b"", b""), (b"a" * 300, b"b"), (b"\x00", b"\xff" * 70_000)):
            cursor = await owner.execute("SELECT link_hash(%b, %b, %b)", (GENESIS_HASH, header, ciphertext))

            assert (link(GENESIS_HASH, header, ciphertext),) == await cursor.fetchone()


@pytest.mark.parametrize("statement", [*CHANGES, *INSERTS])
async def test_the_runtime_role_can_only_append(
    stored: list[StoredEvent], log_database: Database, statement: str
) -> None:
    """Nothing but the append function writes for the runtime role."""
    async with log_database.connect(log_database.app) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await app.execute(statement.encode())


async def test_the_runtime_role_holds_these_rights_and_no_others(log_database: Database) -> None:
    """What the runtime role may do is this list: a right added by a migration must be added here."""
    tables = (
        "SELECT table_name || ' ' || string_agg(privilege_type, ' ' ORDER BY privilege_type) "
        "FROM information_schema.role_table_grants WHERE grantee = 'alliance_app' GROUP BY table_name ORDER BY 1"
    )
    functions = (
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND has_function_privilege('alliance_app', oid, 'EXECUTE') ORDER BY 1"
    )
    async with log_database.connect(log_database.superuser) as superuser:
        on_tables = [row[0] for row in await (await superuser.execute(tables)).fetchall()]
        on_functions = [row[0] for row in await (await superuser.execute(functions)).fetchall()]

    assert [
        "effect_claims INSERT SELECT",
        "events SELECT",
        "journey_summaries SELECT",
        "worklist_items SELECT",
    ] == on_tables
    assert ["append_events", "find_command"] == on_functions


@pytest.mark.parametrize("statement", CHANGES)
async def test_not_even_the_owner_changes_an_event(
    stored: list[StoredEvent], log_database: Database, log: EventLog, statement: str
) -> None:
    """Update, delete and truncate are refused to the owner and to a superuser, also in replica mode."""
    for dsn in (log_database.owner, log_database.superuser):
        async with log_database.connect(dsn) as connection:
            if dsn == log_database.superuser:
                await connection.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.DatabaseError, match="the event log is append-only; record a correcting event"):
                await connection.execute(statement.encode())

    assert stored == await log.read_raw(JOURNEY)


async def test_the_auditor_only_reads(stored: list[StoredEvent], log_database: Database) -> None:
    """The auditor's role reads everything and may not append."""
    async with log_database.connect(log_database.superuser) as connection:
        await connection.execute("SET ROLE alliance_auditor")
        for table in ("events", "journey_summaries", "worklist_items", "effect_claims"):
            await connection.execute(f"SELECT * FROM {table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT append_events(null, null, null, null, null, null, null, null, null)")


async def tampered(database: Database, statement: str) -> None:
    """Change the log as only a superuser can: with its triggers switched off."""
    async with database.connect(database.superuser) as superuser:
        await superuser.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        await superuser.execute(statement.encode())


@pytest.mark.parametrize("column", ["ciphertext", "hash"])
@pytest.mark.parametrize("sequence", [1, 2, 3])
async def test_one_flipped_byte_is_found(
    stored: list[StoredEvent], log_database: Database, log: EventLog, column: str, sequence: int
) -> None:
    """A single changed byte, by somebody who may switch off every trigger, is found at its record."""
    flip = f"UPDATE events SET {column} = set_byte({column}, 5, get_byte({column}, 5) # 1) WHERE sequence = {sequence}"
    await tampered(log_database, flip)

    found = verify(await log.read_raw(JOURNEY))

    assert found is not None
    assert sequence - 1 == found.position


async def test_a_changed_header_is_found(stored: list[StoredEvent], log_database: Database, log: EventLog) -> None:
    """A header rewritten together with its column is found by the chain."""
    rewrite = (
        "UPDATE events SET actor_role = 'therapist', header = convert_to("
        "replace(convert_from(header, 'UTF8'), 'coordinator', 'therapist'), 'UTF8') WHERE sequence = 2"
    )
    await tampered(log_database, rewrite)

    found = verify(await log.read_raw(JOURNEY))

    assert found is not None
    assert 1 == found.position


async def test_a_removed_record_is_found(stored: list[StoredEvent], log_database: Database, log: EventLog) -> None:
    """A record taken out of the middle breaks the chain at the next."""
    await tampered(log_database, "DELETE FROM events WHERE sequence = 2")

    assert verify(await log.read_raw(JOURNEY)) is not None


async def test_a_journey_without_events_is_still_seen(
    stored: list[StoredEvent], log_database: Database, log: EventLog
) -> None:
    """Removing all of a journey's events does not remove it from what an audit walks through."""
    await tampered(log_database, "DELETE FROM events")

    assert [JOURNEY] == await log.journey_ids()


@pytest.mark.parametrize(
    "change",
    [
        "actor_role = 'therapist'",
        "type = 'other.v1'",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "causation_id = event_id",
        "key_version = 2",
    ],
)
async def test_a_column_cannot_disagree_with_its_header(
    stored: list[StoredEvent], log_database: Database, change: str
) -> None:
    """Not even with triggers off does a column take another value than its header's."""
    with pytest.raises(psycopg.errors.CheckViolation, match="columns_are_the_header"):
        await tampered(log_database, f"UPDATE events SET {change}")


async def test_a_header_with_a_local_time_is_refused(pool: Pool, log_database: Database) -> None:
    """A moment without its zone would mean another time on another server: such a header gets no columns."""
    fields = _parameters(request(), KEY)
    bad = fields["headers"][0].replace(b'09:01:00.000500Z"', b'09:01:00.000500"')
    async with log_database.connect(log_database.owner) as owner:
        with pytest.raises(psycopg.DatabaseError, match="not in UTC"):
            await owner.execute("SELECT fields_of(%b)", (bad,))
