"""Appending: once, in order, by one writer at a time, whatever is retried and whoever is first."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from domain.envelope import GENESIS, AppendRequest, AppendResult, EventRecord
from store.errors import RecordsRefusedError, StoreUnavailableError
from store.log import EventLog, StreamHead, _parameters
from store.pool import Pool, fetch_one
from store.queries import load
from tests.store.conftest import Database, pooled
from tests.vault.records import DIGEST, JOURNEY, KEY, header, request

APPEND = load("log")["append_events"]


async def appended(log: EventLog, to_append: AppendRequest) -> AppendResult:
    """Append and insist that it went in."""
    result = await log.append(to_append, KEY)
    assert result.status == "appended"
    return result


async def test_what_is_appended_is_read_back(log: EventLog) -> None:
    """Records come out as they went in, in order, and the answer tells their range, types and the new head."""
    first = request(count=2, data={"note": "42"})
    result = await appended(log, first)
    second = request(first=3, head=result.chain_head)
    end = await appended(log, second)

    assert (1, 2, ("consent_recorded.v1",) * 2) == (result.first, result.last, result.types)
    assert (result.request_digest, result.reason) == (None, None)
    assert [*first.records, *second.records] == await log.read(JOURNEY, KEY)
    assert [first.records[1]] == await log.read(JOURNEY, KEY, 2, 2)
    assert StreamHead(3, end.chain_head) == await log.head(JOURNEY)


async def test_an_unknown_journey_is_empty(log: EventLog) -> None:
    """A stream that has not begun has no records and the genesis head."""
    assert StreamHead(0, GENESIS) == await log.head(JOURNEY)
    assert [] == await log.read(JOURNEY, KEY)
    assert [] == await log.journey_ids()


async def test_a_retry_is_acknowledged_again(log: EventLog) -> None:
    """The same append twice is one append and two equal answers, also after others came behind it."""
    first = request()
    result = await appended(log, first)
    assert result == await log.append(first, KEY)

    await appended(log, request(first=2, head=result.chain_head))

    assert result == await log.append(first, KEY)
    assert 2 == (await log.head(JOURNEY)).version


async def test_a_lost_acknowledgement_is_given_again(log: EventLog, log_database: Database) -> None:
    """When the connection dies after the commit, the retry learns that the append is in, and nothing is in twice."""
    to_append = request(count=2)
    async with pooled(log_database.app, "doomed") as doomed:
        await fetch_one(doomed, APPEND, _parameters(to_append, KEY))
        await log_database.cut("doomed")
        with pytest.raises(StoreUnavailableError):
            await EventLog(doomed).append(to_append, KEY)

        result = await EventLog(doomed).append(to_append, KEY)

    assert ("appended", 1, 2) == (result.status, result.first, result.last)
    assert list(to_append.records) == await log.read(JOURNEY, KEY)


async def test_a_command_is_applied_once(log: EventLog) -> None:
    """A command id that is in already is answered with what it came to, wherever it is tried again."""
    command_id = uuid4()
    stored = await appended(log, request(command_id=command_id, count=2))
    end = await appended(log, request(first=3, head=stored.chain_head))

    result = await log.append(request(command_id=command_id, first=4, head=end.chain_head), KEY)

    assert ("duplicate_command", 1, 2) == (result.status, result.first, result.last)
    assert (stored.types, DIGEST, stored.chain_head) == (result.types, result.request_digest, result.chain_head)
    assert result == await log.receipt(JOURNEY, command_id, KEY)
    assert 3 == (await log.head(JOURNEY)).version


async def test_the_same_command_decided_anew_is_a_duplicate(log: EventLog) -> None:
    """After a reset the same command is decided at another moment: the stored records win."""
    command_id = uuid4()
    first = request(command_id=command_id)
    await appended(log, first)
    again = request(command_id=command_id, data={"form": "another"})

    assert "duplicate_command" == (await log.append(again, KEY)).status
    assert list(first.records) == await log.read(JOURNEY, KEY)


async def test_a_command_id_belongs_to_its_journey(log: EventLog) -> None:
    """Two journeys may see the same command id; neither is the other's duplicate."""
    command_id, other = uuid4(), uuid4()
    await appended(log, request(command_id=command_id))
    await appended(log, request(command_id=command_id, journey_id=other))

    assert sorted([JOURNEY, other]) == await log.journey_ids()


async def test_an_unknown_command_has_no_receipt(log: EventLog) -> None:
    """A command that this journey never saw has no receipt."""
    await appended(log, request())

    assert await log.receipt(JOURNEY, uuid4(), KEY) is None


async def test_a_caller_that_is_behind_learns_that_the_log_is_ahead(log: EventLog) -> None:
    """Another record where ours should go: nothing is written, and the answer tells where the log ends."""
    head = (await appended(log, request())).chain_head
    end = await appended(log, request(first=2, head=head, count=2))

    result = await log.append(request(first=2, head=head), KEY)

    assert ("diverged", "log_ahead", 3, end.chain_head) == (
        result.status,
        result.reason,
        result.last,
        result.chain_head,
    )


async def test_a_restored_log_is_noticed(log: EventLog) -> None:
    """A log that misses earlier records says that it is behind, also when it is empty."""
    empty = await log.append(request(first=3, head="ab" * 32), KEY)
    end = await appended(log, request())
    behind = await log.append(request(first=3, head="ab" * 32), KEY)

    assert ("diverged", "log_behind", 0, GENESIS) == (empty.status, empty.reason, empty.last, empty.chain_head)
    assert ("diverged", "log_behind", 1, end.chain_head) == (
        behind.status,
        behind.reason,
        behind.last,
        behind.chain_head,
    )


@pytest.mark.parametrize("records_after", [0, 1])
async def test_a_rewritten_log_is_noticed(log: EventLog, records_after: int) -> None:
    """When the record before ours has another hash than we know, it is a conflict, however long the log is."""
    head = (await appended(log, request())).chain_head
    for sequence in range(2, 2 + records_after):
        head = (await appended(log, request(first=sequence, head=head))).chain_head

    result = await log.append(request(first=2, head="ab" * 32), KEY)

    assert ("diverged", "hash_conflict") == (result.status, result.reason)


async def test_of_two_writers_exactly_one_wins(pool: Pool) -> None:
    """Two different appends at the same place, at the same time: one is in, the other learns that the log is ahead."""
    log = EventLog(pool)
    for sequence in range(1, 11):
        head = (await log.head(JOURNEY)).chain_head
        rivals = [request(first=sequence, head=head, data={"rival": number}) for number in range(4)]

        results = await asyncio.gather(*(log.append(rival, KEY) for rival in rivals))

        assert ["appended", "diverged", "diverged", "diverged"] == sorted(result.status for result in results)
        assert {"log_ahead", None} == {result.reason for result in results}


async def test_a_retry_beside_the_first_try_is_one_append(pool: Pool) -> None:
    """The same append from four connections at once is one append and four equal answers."""
    to_append = request(count=3)

    results = await asyncio.gather(*(EventLog(pool).append(to_append, KEY) for _ in range(4)))

    assert 1 == len(set(results))
    assert 3 == (await EventLog(pool).head(JOURNEY)).version


async def test_journeys_do_not_wait_for_each_other(log: EventLog, log_database: Database) -> None:
    """While one journey's append is open and uncommitted, another journey's goes through."""
    async with log_database.connect(log_database.app) as other, other.transaction():
        await other.execute(APPEND, _parameters(request(journey_id=uuid4()), KEY))

        assert "appended" == (await log.append(request(), KEY)).status


async def test_a_forged_hash_is_refused(log: EventLog, pool: Pool) -> None:
    """The database computes every hash itself: a record with another one does not get in, nor do those beside it."""
    fields = _parameters(request(count=2), KEY)
    fields["hashes"][1] = bytes(32)

    with pytest.raises(RecordsRefusedError, match="hash of record 2"):
        await fetch_one(pool, APPEND, fields)
    assert [] == await log.read_raw(JOURNEY)


@pytest.mark.parametrize(
    "lie", [{"journey_id": uuid4()}, {"command_id": uuid4()}], ids=["another journey", "another command"]
)
async def test_headers_must_be_of_the_append(log: EventLog, pool: Pool, lie: dict[str, object]) -> None:
    """A header of another journey or command cannot be smuggled in."""
    with pytest.raises(RecordsRefusedError, match="header of record 1"):
        await fetch_one(pool, APPEND, {**_parameters(request(), KEY), **lie})
    assert [] == await log.journey_ids()


async def test_a_mixed_request_is_a_bug(log: EventLog) -> None:
    """Records with a gap, of two commands or of two journeys are refused before anything is sent."""
    good = request(count=2)
    content = good.records[0].content
    command_id = good.records[0].header.command_id
    for stranger in (header(3, command_id=command_id), header(2), header(2, uuid4(), command_id)):
        records = (good.records[0], EventRecord(header=stranger, content=content))
        with pytest.raises(ValueError, match="does not belong in this append"):
            await log.append(good.model_copy(update={"records": records}), KEY)
    with pytest.raises(ValueError, match="summary is not of journey"):
        await log.append(good.model_copy(update={"summary": request(journey_id=uuid4()).summary}), KEY)


async def test_an_append_is_one_statement(log: EventLog, log_database: Database) -> None:
    """An append of many records is one statement in one transaction: one round trip, nothing half done."""
    await log.append(request(count=3), KEY)
    await log.append(request(journey_id=uuid4(), count=3), KEY)
    async with log_database.connect(log_database.superuser) as admin:
        cursor = await admin.execute("SELECT count(DISTINCT inserted_xid), count(*) FROM events")

        assert (2, 6) == await cursor.fetchone()
