"""A story's own time: the journey's clock is shifted to the story's first day and then wound forward (D16).

Temporal winds the virtual clock of one workflow; timers, reminders and retries on the way all happen.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from runtime.names import journey_workflow_id

# A six-hour outage with a retry each minute already needs more skips than the server's default of 200.
SKIPS_MAX = 10_000


class StoryClock:
    """Tells what time it is in the story, and winds it forward."""

    def __init__(self, client: Client, starts_at: datetime) -> None:
        config = TimeSkippingConfig(enabled=False, max_session_skip_count=SKIPS_MAX)
        self._skipper = TimeSkipper(client, config=config)
        self._client = client
        self._starts_at = starts_at
        self._began = time.time()
        self._skipped = timedelta()
        self.shift_seconds = self._began - starts_at.timestamp()

    @property
    def now(self) -> datetime:
        """The story's time. Real time passes in it too, so it is never exact to the second."""
        return self._starts_at + timedelta(seconds=time.time() - self._began) + self._skipped

    async def wind_to(self, journey_id: UUID, moment: datetime) -> None:
        """Wind a journey forward to this moment of the story; nothing happens when it has passed already."""
        ahead = moment - self.now
        if ahead <= timedelta():
            return
        handle = self._client.get_workflow_handle(journey_workflow_id(journey_id))
        await self._skipper.fast_forward(handle, ahead)
        self._skipped += ahead
