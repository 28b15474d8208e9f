"""The domain alone: no server, no sealing, one thread. This is what a workflow task spends on the rules."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from benchmarks.course import Course
from benchmarks.measure import Figure, alternate, duration, repeated
from domain import journey as rules
from domain.envelope import Purpose
from domain.journey import Journey, Source, State

ROUNDS = 7
SECONDS_MIN = 0.2


def live(course: Course) -> State:
    """Decide every command of the course, and record, fold and project what follows, as the journey's ledger does."""
    state = course.initial
    ids = (record.header.event_id for record in course.records)
    for command, ctx in course.asked:
        events = rules.decide(state, command, ctx).events
        if not events:
            continue
        source = Source(purpose=Purpose.TREAT, request_digest="0" * 64, key_version=1, draw_id=lambda: _next(ids))
        state = rules.fold(state, rules.record(state, events, ctx, source))
        assert isinstance(state, Journey)
        rules.project(state)
    return state


def _next(ids: Iterator[UUID]) -> UUID:
    return next(ids)


async def figures(course: Course) -> list[Figure]:
    """Measure the course, then what is owed and what is decided late in it."""
    late, command, ctx = course.before_the_last_dose()
    assert rules.decide(late, command, ctx).refusal is None
    assert live(course) == rules.fold(course.initial, course.records)
    samples = await alternate(
        {
            "course": repeated(1, lambda: live(course), seconds_min=SECONDS_MIN),
            "fold": repeated(1, lambda: rules.fold(course.initial, course.records), seconds_min=SECONDS_MIN),
            "due": repeated(1, lambda: rules.due(late), seconds_min=SECONDS_MIN),
            "decide": repeated(1, lambda: rules.decide(late, command, ctx), seconds_min=SECONDS_MIN),
        },
        ROUNDS,
    )
    what = f"{len(course.asked)} commands, {len(course.records)} events"
    return [
        duration(f"V1's course decided and folded ({what})", "ms", samples["course"]),
        duration("V1's records folded", "ms", samples["fold"]),
        duration("due, before the last dose", "µs", samples["due"]),
        duration("decide start_dosing, the last dose", "µs", samples["decide"]),
    ]
