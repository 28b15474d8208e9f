"""Read models: inside the append, keyed by their journey, and folded again at will."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.envelope import GENESIS, EventRecord, JourneySummary, Role, WorklistItem
from store.errors import ProjectionMovedError, RecordsRefusedError, StoreError
from store.log import EventLog, _parameters
from store.pool import Pool, fetch_all, fetch_one
from store.projections import JourneyItem, Projections, RebuildReport
from store.queries import load
from tests.store.conftest import Database
from tests.vault.records import JOURNEY, KEY, START, Keys, request, summary
from vault.errors import KeyShreddedError
from vault.keys import DataKey

OTHER = UUID("0190aaaa-0000-7000-8000-000000000002")


def item(key: str, days: int, *, overdue: bool = False, owner: Role = Role.PRESCRIBER) -> WorklistItem:
    """Something due after some days."""
    return WorklistItem(key=key, code="REVIEW", owner=owner, due_at=START + timedelta(days=days), overdue=overdue)


def fold(journey_id: UUID, records: list[EventRecord]) -> tuple[JourneySummary, tuple[WorklistItem, ...]]:
    """Fold as ``request`` projects."""
    last = records[-1].header.sequence
    review = WorklistItem(key=f"review-{last}", code="REVIEW_HOLD", owner=Role.PRESCRIBER, due_at=START)
    return summary(journey_id, last), (review,)


async def rows(pool: Pool) -> list[object]:
    """Everything in both read models."""
    return [
        *await fetch_all(pool, "SELECT * FROM journey_summaries ORDER BY journey_id"),
        *await fetch_all(pool, "SELECT * FROM worklist_items ORDER BY journey_id, key"),
    ]


async def test_a_summary_comes_back_as_it_was_appended(log: EventLog, pool: Pool) -> None:
    """Each append leaves its journey's latest summary and worklist, and no others."""
    head = (await log.append(request(worklist=(item("a", 1), item("b", 2))), KEY)).chain_head
    await log.append(request(first=2, head=head, worklist=(item("b", 3),)), KEY)
    views = Projections(pool)

    assert summary(JOURNEY, 2) == await views.summary(JOURNEY)
    assert [summary(JOURNEY, 2)] == await views.summaries()
    assert [JourneyItem(JOURNEY, item("b", 3))] == await views.worklist()
    assert await views.summary(OTHER) is None


async def test_the_tables_hold_every_field(pool: Pool) -> None:
    """A field added to a projected model without a migration would vanish silently: columns equal fields."""
    query = (
        "SELECT column_name FROM information_schema.columns WHERE table_name = %(table)s AND table_schema = 'public' "
        "ORDER BY ordinal_position"
    )
    summaries = [row[0] for row in await fetch_all(pool, query, {"table": "journey_summaries"})]
    worklist = [row[0] for row in await fetch_all(pool, query, {"table": "worklist_items"})]

    assert list(JourneySummary.model_fields) == summaries
    assert ["journey_id", *WorklistItem.model_fields] == worklist


async def test_a_refused_append_leaves_the_projections_alone(log: EventLog, pool: Pool) -> None:
    """Projections change with the records or not at all: not when an append is refused, diverged or a duplicate."""
    first = request()
    head = (await log.append(first, KEY)).chain_head
    before = await rows(pool)
    forged = {**_parameters(request(first=2, head=head), KEY), "hashes": [bytes(32)]}
    command_id = first.records[0].header.command_id

    with pytest.raises(RecordsRefusedError):
        await fetch_one(pool, load("log")["append_events"], forged)
    await log.append(request(first=2, head="ab" * 32, worklist=()), KEY)
    await log.append(request(first=2, head=head, command_id=command_id, worklist=()), KEY)

    assert before == await rows(pool)


async def test_a_late_retry_does_not_bring_back_an_old_summary(log: EventLog, pool: Pool) -> None:
    """An append acknowledged again projects nothing: what came after it stays."""
    first = request()
    head = (await log.append(first, KEY)).chain_head
    await log.append(request(first=2, head=head), KEY)
    await log.append(first, KEY)

    assert summary(JOURNEY, 2) == await Projections(pool).summary(JOURNEY)


async def test_a_projection_that_fails_takes_the_append_with_it(log: EventLog, pool: Pool) -> None:
    """Records whose projection cannot be written do not get in either."""
    with pytest.raises(StoreError):
        await log.append(request(worklist=(item("same", 1), item("same", 2))), KEY)

    assert [] == await log.journey_ids()


async def test_lists_are_filtered_and_ordered(log: EventLog, pool: Pool) -> None:
    """Filters narrow, one left out filters nothing, and what is due first stands first."""
    late = request(journey_id=OTHER, worklist=(item("x", 1, overdue=True, owner=Role.THERAPIST), item("y", 9)))
    update = {"stage": "monitoring", "hold": None, "next_action_by": Role.THERAPIST, "due_at": None}
    await log.append(late.model_copy(update={"summary": late.summary.model_copy(update=update)}), KEY)
    await log.append(request(worklist=(item("z", 5), item("v", 20))), KEY)
    views = Projections(pool)

    async def ids(**filters: object) -> list[UUID]:
        return [each.journey_id for each in await views.summaries(**filters)]  # type: ignore[arg-type]

    assert [JOURNEY, OTHER] == await ids()
    assert [JOURNEY] == await ids(limit=1)
    assert [OTHER] == await ids(stage="monitoring")
    assert [JOURNEY] == await ids(hold="HOLD_SAFETY")
    assert [OTHER] == await ids(owner=Role.THERAPIST)
    assert ([OTHER], [JOURNEY]) == (await ids(overdue=True), await ids(overdue=False))
    assert ["x", "z", "y", "v"] == [each.item.key for each in await views.worklist()]
    assert ["z", "y", "v"] == [each.item.key for each in await views.worklist(Role.PRESCRIBER)]
    assert ["x", "z"] == [each.item.key for each in await views.worklist(limit=2)]


async def test_a_rebuild_gives_the_same_rows(log: EventLog, pool: Pool, owner_pool: Pool) -> None:
    """Dropped and folded again from the log, every read model is what it was; folded twice too (I8)."""
    for journey_id in (JOURNEY, OTHER):
        head = (await log.append(request(journey_id=journey_id), KEY)).chain_head
        await log.append(request(journey_id=journey_id, first=2, head=head, count=2), KEY)
    before = await rows(pool)
    views, keys = Projections(owner_pool), Keys({JOURNEY: KEY, OTHER: KEY})

    await views.truncate_projections()
    emptied = await rows(pool)
    await views.rebuild(log, keys, fold)
    report = await views.rebuild(log, keys, fold)

    assert [] == emptied
    assert before == await rows(pool)
    assert RebuildReport(2, ()) == report


async def test_an_old_fold_never_covers_a_newer_state(log: EventLog, pool: Pool, owner_pool: Pool) -> None:
    """A fold that was read before the latest append is refused, and a rebuild reads again."""
    head = (await log.append(request(), KEY)).chain_head
    stale = fold(JOURNEY, await log.read(JOURNEY, KEY))
    await log.append(request(first=2, head=head), KEY)
    views = Projections(owner_pool)

    assert not await views.replace_all(JOURNEY, *stale, version=1)
    assert summary(JOURNEY, 2) == await views.summary(JOURNEY)


async def test_a_rebuild_that_never_catches_up_says_so(log: EventLog, owner_pool: Pool) -> None:
    """When every fold is overtaken by an append, the rebuild ends with an error instead of running for ever."""
    await log.append(request(), KEY)

    class OvertakenLog(EventLog):
        async def read(
            self, journey_id: UUID, key: DataKey, from_sequence: int = 1, to: int | None = None
        ) -> list[EventRecord]:
            records = await super().read(journey_id, key, from_sequence, to)
            head = await self.head(journey_id)
            await self.append(request(first=head.version + 1, head=head.chain_head), key)
            return records

    with pytest.raises(ProjectionMovedError, match=str(JOURNEY)):
        await Projections(owner_pool).rebuild(OvertakenLog(owner_pool), Keys({JOURNEY: KEY}), fold)


async def test_a_shredded_journey_is_reported_by_a_rebuild(log: EventLog, owner_pool: Pool) -> None:
    """What cannot be opened any more is named, and the others are rebuilt."""
    for journey_id in (JOURNEY, OTHER):
        await log.append(request(journey_id=journey_id), KEY)

    class ShreddedKeys(Keys):
        async def key_for_journey(self, journey_id: UUID) -> DataKey:
            if journey_id == OTHER:
                raise KeyShreddedError("gone")
            return await super().key_for_journey(journey_id)

    report = await Projections(owner_pool).rebuild(log, ShreddedKeys({JOURNEY: KEY}), fold)

    assert RebuildReport(1, (OTHER,)) == report


async def test_the_runtime_role_cannot_empty_the_read_models(log: EventLog, pool: Pool) -> None:
    """Emptying and replacing belong to the owner."""
    await log.append(request(), KEY)

    with pytest.raises(StoreError, match="InsufficientPrivilege 42501"):
        await Projections(pool).truncate_projections()
    with pytest.raises(StoreError, match="InsufficientPrivilege 42501"):
        await Projections(pool).replace_all(JOURNEY, summary(JOURNEY, 1), (), version=1)


async def test_a_projection_is_keyed_by_its_append(pool: Pool, log_database: Database) -> None:
    """A summary that names another journey still lands on the journey that was appended to."""
    fields = {**_parameters(request(), KEY), "summary": summary(uuid4(), 1).model_dump_json()}
    await fetch_one(pool, load("log")["append_events"], fields)

    assert [JOURNEY] == [each.journey_id for each in await Projections(pool).summaries()]
    assert GENESIS != (await EventLog(pool).head(JOURNEY)).chain_head
