"""Work that goes on beside the handlers: timers waited for, effects attempted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio import workflow


class Background:
    """Watches tasks that nobody awaits. A bug in one must stop the workflow task, as a bug in a handler does."""

    def __init__(self) -> None:
        self._bug: BaseException | None = None

    def watch(self, work: asyncio.Task[None]) -> None:
        """Remember it if this fails."""
        work.add_done_callback(self._note)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition. Raises RuntimeError when watched work has failed."""
        await workflow.wait_condition(lambda: self._bug is not None or condition())
        if self._bug is not None:
            raise RuntimeError("work beside the handlers has failed; correct it and deploy") from self._bug

    def _note(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled():
            self._bug = self._bug or work.exception()
