"""Effects by lane: one in flight per lane, in order, each attempt bounded, retried with growing patience (D17)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from domain.effects import EffectCall, EffectResult, resource_id
from domain.journey.messages import Command, Effect, IfLate
from domain.journey.outbox import ExpireEffect, RecordEffect
from runtime.names import EFFECTS
from workflows.contracts import Attempt

ATTEMPT_TIMEOUT = timedelta(seconds=30)
QUEUE_TIMEOUT = timedelta(seconds=90)
RETRY_FIRST = timedelta(seconds=5)
RETRY_MAX = timedelta(minutes=15)

Tell = Callable[[Command, UUID], Awaitable[None]]
"""How the journey is told of an outcome: records it, when it is news."""


class Lanes:
    """What is being sent by this run, and how often each owed effect was tried."""

    def __init__(
        self,
        journey_id: UUID,
        attempts: Mapping[str, Attempt],
        *,
        clock: Callable[[], datetime],
        tell: Tell,
        freed: Callable[[], None],
    ) -> None:
        self._journey_id = journey_id
        self._clock = clock
        self._tell = tell
        self._freed = freed
        self._in_flight: set[str] = set()
        self._attempts = dict(attempts)

    @property
    def busy(self) -> bool:
        """Whether an attempt is out, or its outcome not recorded yet."""
        return bool(self._in_flight)

    def start(self, owed: tuple[Effect, ...]) -> list[asyncio.Task[None]]:
        """Start the head of each free lane whose time has come."""
        now = self._clock()
        ready = [
            effect
            for effect in heads(owed)
            if effect.lane not in self._in_flight and ready_at(effect, self._attempts.get(effect.key)) <= now
        ]
        self._in_flight.update(effect.lane for effect in ready)
        return [asyncio.create_task(self._work(effect, late=too_late(effect, now))) for effect in ready]

    def next_start(self, owed: tuple[Effect, ...]) -> datetime | None:
        """When the next head of a lane may be tried, if that is still to come."""
        now = self._clock()
        starts = (ready_at(effect, self._attempts.get(effect.key)) for effect in heads(owed))
        return min((at for at in starts if at > now), default=None)

    def left(self, owed: tuple[Effect, ...]) -> dict[str, Attempt]:
        """The attempts at what is still owed, for the next run."""
        return {effect.key: self._attempts[effect.key] for effect in owed if effect.key in self._attempts}

    async def _work(self, effect: Effect, *, late: bool) -> None:
        if late:
            await self._tell(ExpireEffect(key=effect.key), resource_id(effect.key, "missed"))
        elif (result := await self._attempt(effect)) is not None:
            await self._tell(RecordEffect(result=result), resource_id(effect.key, "outcome"))
        # In no ``finally``: a task that is torn down with its workflow must start nothing.
        self._in_flight.discard(effect.lane)
        self._freed()

    async def _attempt(self, effect: Effect) -> EffectResult | None:
        """One bounded attempt; None when it failed and is to be tried again later."""
        before = self._attempts.get(effect.key, Attempt())
        call = EffectCall(key=effect.key, journey_id=self._journey_id, attempt=before.count + 1, request=effect.request)
        try:
            result: EffectResult = await workflow.execute_activity(
                effect.request.kind,
                call,
                result_type=EffectResult,
                task_queue=EFFECTS,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                schedule_to_close_timeout=QUEUE_TIMEOUT,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=f"{effect.lane.split('/')[0]}, attempt {call.attempt}",
            )
        except ActivityError:
            self._attempts[effect.key] = next_attempt(before, self._clock())
            return None
        assert result.key == effect.key, "an effect was answered with another's key"
        self._attempts.pop(effect.key, None)
        return result


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
    """When this effect may be tried (again), or given up: what expires is not waited for any longer."""
    ready = effect.due_at if attempt is None or attempt.next_at is None else max(effect.due_at, attempt.next_at)
    if effect.expires_at is not None and effect.if_late is not IfLate.DO:
        return min(ready, effect.expires_at)
    return ready


def too_late(effect: Effect, now: datetime) -> bool:
    """Whether doing it now would be wrong."""
    return effect.expires_at is not None and now >= effect.expires_at and effect.if_late is not IfLate.DO
