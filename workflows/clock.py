"""The one timer of a journey: set to the next moment at which something must be looked at (architecture D2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from domain import journey as rules
from domain.journey import Journey
from domain.journey.messages import Clock, Task


class Waker:
    """Wakes the journey; the timer is re-armed only when the next moment changes."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._at: datetime | None = None
        self._looked_at: datetime | None = None

    def set(self, journey: Journey, next_start: datetime | None) -> None:
        """Wake at the next due moment, or when the next effect may start."""
        moments = [at for at in due_moments(journey) if self._looked_at is None or at > self._looked_at]
        moments += [] if next_start is None else [next_start]
        self._at = min(moments, default=None)

    def stop(self) -> None:
        """Wake for nothing."""
        self._at = None

    def looked(self) -> None:
        """What was due until now has been looked at, and is not looked at again: else a journey could spin."""
        self._looked_at = self._clock()

    async def watch(self, look: Callable[[], Awaitable[None]], words: Callable[[], str]) -> None:
        """Keep one timer for ever; ``words`` describe it in the Temporal UI."""
        while True:
            if await self._is_time(words()):
                await look()

    async def _is_time(self, words: str) -> bool:
        """Wait for the moment that is set; False when another one was set meanwhile."""
        at = self._at
        wait = None if at is None else at - self._clock()
        if wait is not None and wait <= timedelta():
            return True
        try:
            await workflow.wait_condition(lambda: self._at != at, timeout=wait, timeout_summary=words)
        except TimeoutError:
            return True
        return False


def due_moments(journey: Journey) -> list[datetime]:
    """When people's tasks fall due that are not recorded as overdue yet, and when clocks run out."""
    breached = set(journey.clocks.breached)
    return [
        owed.due_at
        for owed in rules.due(journey)
        if isinstance(owed, Clock) or (isinstance(owed, Task) and owed.key not in breached)
    ]
