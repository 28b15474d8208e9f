"""Read models for lists: what ops and clinicians may see of many journeys at once. Codes and dates only.

They are written inside the append, so they are never behind the log, and can be dropped and folded again (I8).
No rule ever reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias
from uuid import UUID

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from domain.envelope import EventRecord, JourneySummary, Role, WorklistItem
from store.errors import ProjectionMovedError
from store.log import EventLog
from store.pool import Pool, fetch_all, fetch_one
from store.pool import connection as borrowed
from store.queries import load
from vault.errors import KeyShreddedError
from vault.keys import KeySource

Fold: TypeAlias = Callable[[UUID, list[EventRecord]], tuple[JourneySummary, tuple[WorklistItem, ...]]]
"""A journey's projections, computed from all its events."""

_SQL = load("projections")
_WORKLIST = TypeAdapter(tuple[WorklistItem, ...])
_ATTEMPTS_MAX = 10


class JourneyItem(NamedTuple):
    """A worklist item and the journey it belongs to."""

    journey_id: UUID
    item: WorklistItem


class RebuildReport(NamedTuple):
    """How many journeys were folded again, and which cannot be because their key was destroyed."""

    rebuilt: int
    shredded: tuple[UUID, ...]


class Projections:
    """The read models. ``replace_all``, ``rebuild`` and ``truncate_projections`` need the owner's connection."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def summary(self, journey_id: UUID) -> JourneySummary | None:
        """Find one journey's summary."""
        row = await fetch_one(self._pool, _SQL["summary"], {"journey_id": journey_id})
        return _summary(row) if row else None

    async def summaries(
        self,
        *,
        stage: str | None = None,
        hold: str | None = None,
        owner: Role | None = None,
        overdue: bool | None = None,
        limit: int = 100,
    ) -> list[JourneySummary]:
        """List summaries, the next due first. A filter left out filters nothing.

        ``owner`` is who acts next; ``overdue`` asks whether the journey has an overdue worklist item.
        """
        filters = {"stage": stage, "hold": hold, "owner": _text(owner), "overdue": overdue, "limit": limit}
        return [_summary(row) for row in await fetch_all(self._pool, _SQL["summaries"], filters)]

    async def worklist(self, owner: Role | None = None, limit: int = 100) -> list[JourneyItem]:
        """List what people owe, overdue first, then by due time."""
        rows = await fetch_all(self._pool, _SQL["worklist"], {"owner": _text(owner), "limit": limit})
        return [JourneyItem(journey_id, _item(*fields)) for journey_id, *fields in rows]

    async def replace_all(
        self, journey_id: UUID, summary: JourneySummary, worklist: tuple[WorklistItem, ...], *, version: int
    ) -> bool:
        """Put one journey's projections in place of what is there.

        ``version`` is the sequence they were folded up to. Returns False, and changes nothing, when the log has moved
        on since.
        """
        fields = {
            "journey_id": journey_id,
            "version": version,
            "summary": summary.model_dump_json(),
            "worklist": _WORKLIST.dump_json(worklist).decode(),
        }
        row = await fetch_one(self._pool, _SQL["replace"], fields)
        return row is not None and bool(row[0])

    async def rebuild(self, log: EventLog, keys: KeySource, fold: Fold) -> RebuildReport:
        """Fold every journey again, beside live appends; a journey is never left with an older state than it had.

        Raises:
            ProjectionMovedError: a journey moved on ten times while it was being folded; start again later.

        """
        shredded: list[UUID] = []
        journey_ids = await log.journey_ids()
        for journey_id in journey_ids:
            try:
                await self._rebuild_one(journey_id, log, keys, fold)
            except KeyShreddedError:
                shredded.append(journey_id)
        return RebuildReport(len(journey_ids) - len(shredded), tuple(shredded))

    async def _rebuild_one(self, journey_id: UUID, log: EventLog, keys: KeySource, fold: Fold) -> None:
        key = await keys.key_for_journey(journey_id)
        for _ in range(_ATTEMPTS_MAX):
            records = await log.read(journey_id, key)
            summary, worklist = fold(journey_id, records)
            if await self.replace_all(journey_id, summary, worklist, version=records[-1].header.sequence):
                return
        raise ProjectionMovedError(f"Journey {journey_id} moved on while it was being folded: rebuild again later.")

    async def truncate_projections(self) -> None:
        """Empty the read models, before a rebuild from nothing."""
        async with borrowed(self._pool) as connection:
            await connection.execute(_SQL["truncate"])


def _summary(row: TupleRow) -> JourneySummary:
    fields = dict(zip(JourneySummary.model_fields, row, strict=True))
    owner = fields["next_action_by"]
    return JourneySummary(**{**fields, "next_action_by": Role(owner) if owner else None})


def _item(key: str, code: str, owner: str, due_at: object, overdue: object) -> WorklistItem:
    return WorklistItem.model_validate(
        {"key": key, "code": code, "owner": Role(owner), "due_at": due_at, "overdue": overdue}
    )


def _text(role: Role | None) -> str | None:
    return role.value if role else None
