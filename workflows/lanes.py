"""Effects by lane: one in flight per lane, in order, each attempt bounded, retried with growing patience (D17)."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.journey.messages import Effect, IfLate
from workflows.contracts import Attempt

ATTEMPT_TIMEOUT = timedelta(seconds=30)
QUEUE_TIMEOUT = timedelta(seconds=90)
RETRY_FIRST = timedelta(seconds=5)
RETRY_MAX = timedelta(minutes=15)


def next_attempt(before: Attempt, now: datetime) -> Attempt:
    """After a failed attempt: wait twice as long as before, up to a limit. It never gives up by itself."""
    wait = min(RETRY_FIRST * 2 ** min(before.count, 10), RETRY_MAX)
    return Attempt(count=before.count + 1, next_at=now + wait)


def heads(owed: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """The first effect of each lane, in the order they were owed."""
    first: dict[str, Effect] = {}
    for effect in owed:
        first.setdefault(effect.lane, effect)
    return tuple(first.values())


def ready_at(effect: Effect, attempt: Attempt | None) -> datetime:
    """When this effect may be tried (again)."""
    if attempt is None or attempt.next_at is None:
        return effect.due_at
    return max(effect.due_at, attempt.next_at)


def too_late(effect: Effect, now: datetime) -> bool:
    """Whether doing it now would be wrong."""
    return effect.expires_at is not None and now >= effect.expires_at and effect.if_late is not IfLate.DO
