"""A workflow as small as one can be that still needs the whole plugin."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from domain.envelope import JourneySummary
from domain.values import Instant, Value
from runtime.names import search_attributes

MARK = "Zaphod-Beeblebrox"
"""Stands for a patient's name: it must be found nowhere in clear."""


class Admit(Value):
    """A command with something secret in it."""

    name: str
    at: Instant
    fail: bool = False


class Admitted(Value):
    """What the activity made of it, and the trace it ran under."""

    name: str
    at: Instant
    trace_id: str
    workflow_now: Instant | None = None


@workflow.defn(name="Ward")
class WardWorkflow:
    """Admits until it is closed."""

    @workflow.init
    def __init__(self, summary: JourneySummary) -> None:
        self._summary = summary
        self._closed = False

    @workflow.run
    async def run(self, summary: JourneySummary) -> str:
        del summary
        workflow.upsert_search_attributes(search_attributes(self._summary))
        await workflow.wait_condition(lambda: self._closed)
        return (await self._admit(Admit(name="own accord", at=workflow.now()))).trace_id

    @workflow.update
    async def admit(self, command: Admit) -> Admitted:
        """Admit through an activity; what the activity refuses is refused."""
        try:
            # A task of its own must still be in the trace of the command that made it.
            return await asyncio.create_task(self._admit(command))
        except ActivityError as error:
            raise ApplicationError(f"refused {command.name}", type="REFUSED") from error

    @workflow.signal
    async def close(self) -> None:
        """End."""
        self._closed = True

    async def _admit(self, command: Admit) -> Admitted:
        admitted: Admitted = await workflow.execute_activity(
            "admit_patient",
            command,
            result_type=Admitted,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return admitted.model_copy(update={"workflow_now": workflow.now()})
