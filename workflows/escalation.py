"""Waking somebody: its own workflow, queue, worker and deployment, so that nothing else can delay a page (D12).

Pages again until a clinician says that the case is in hand. The machine never ends this by itself.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from domain.effects import EffectCall, EffectResult, PageOnCall
from runtime.names import ESCALATION_WORKFLOW, PAGE_ON_CALL

with workflow.unsafe.imports_passed_through():
    from workflows.contracts import EscalationStart

PAGE_TIMEOUT = timedelta(seconds=5)
PAGE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=5), maximum_attempts=0
)
PAGE_AGAIN_AFTER = timedelta(minutes=5)
PAGES_PER_RUN = 50


@workflow.defn(name=ESCALATION_WORKFLOW)
class EscalationWorkflow:
    """One safety case's pages, id ``escalation/<journey>/<case>``."""

    @workflow.init
    def __init__(self, _start: EscalationStart) -> None:
        self._answered = False

    @workflow.run
    async def run(self, start: EscalationStart) -> str:
        """Page until somebody answers."""
        for number in range(1, PAGES_PER_RUN + 1):
            workflow.set_current_details(f"## Paging the clinician on call\n\nPage {number}; not answered yet.")
            await self._page(start, number)
            try:
                await workflow.wait_condition(
                    lambda: self._answered, timeout=PAGE_AGAIN_AFTER, timeout_summary="page again unless answered"
                )
            except TimeoutError:
                continue
            workflow.set_current_details("## Answered\n\nA clinician has the case in hand.")
            return "answered"
        workflow.continue_as_new(start)

    async def _page(self, start: EscalationStart, number: int) -> None:
        run = workflow.info().run_id if number > 1 else "first"
        await workflow.execute_activity(
            PAGE_ON_CALL,
            EffectCall(
                key=f"{start.journey_id}.{start.case_id}.page.{run}.{number}",
                journey_id=start.journey_id,
                attempt=1,
                request=PageOnCall(journey_id=start.journey_id, case_id=start.case_id, raised_at=start.raised_at),
            ),
            result_type=EffectResult,
            start_to_close_timeout=PAGE_TIMEOUT,
            retry_policy=PAGE_RETRY,
            summary=f"page {number}",
        )

    @workflow.signal(name="answered")
    def answered(self) -> None:
        """A clinician has the case in hand."""
        self._answered = True
