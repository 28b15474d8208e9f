"""A story's own time: the journey's clock is shifted to the story's first day and then wound forward (D16).

Temporal winds the virtual clock of one workflow; timers, reminders and retries on the way all happen.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from runtime.names import journey_workflow_id

# A six-hour outage with a retry each minute already needs more skips than the server's default of 200.
SKIPS_MAX = 10_000
WINDINGS_MAX = 50


class StoryClock:
    """Tells how far a story lies from today, and winds a journey forward."""

    def __init__(self, client: Client, starts_at: datetime) -> None:
        config = TimeSkippingConfig(enabled=False, max_session_skip_count=SKIPS_MAX)
        self._skipper = TimeSkipper(client, config=config)
        self._client = client
        self._shift = datetime.now(UTC) - starts_at

    @property
    def shift_seconds(self) -> float:
        """How far the story lies in the past: what the journey subtracts from its clock."""
        return self._shift.total_seconds()

    async def wind_to(self, journey_id: UUID, moment: datetime) -> None:
        """Wind a journey forward to this moment of the story; nothing happens when it has passed already.

        Raises TimeoutError when the journey's clock does not get there: something of it must be stuck.
        """
        handle = self._client.get_workflow_handle(journey_workflow_id(journey_id))
        for _ in range(WINDINGS_MAX):
            # Asked afresh each time: real time passes in the story too, and a new run may have begun on the way.
            ahead = moment - (await self._skipper.get_current_time(handle) - self._shift)
            if ahead <= timedelta():
                return
            await self._skipper.fast_forward(handle, ahead)
        raise TimeoutError(f"the journey's clock did not reach {moment:%Y-%m-%d %H:%M}")
