"""Waking somebody: its own workflow, queue, worker and deployment, so that nothing else can delay a page (D12).

Pages again until a clinician says that the case is in hand. The machine never ends this by itself.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

from domain.effects import EffectCall, EffectOutcome, EffectResult, Paged, PageOnCall
from domain.envelope import FactEnvelope
from domain.journey.safety import PagerReported
from runtime.names import ESCALATION_WORKFLOW, PAGE_ON_CALL, journey_workflow_id

with workflow.unsafe.imports_passed_through():
    from workflows.contracts import EscalationStart, PageReport

PAGE_REPORT_WORKFLOW = "PageReport"
PAGE_TIMEOUT = timedelta(seconds=5)
PAGE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=250), maximum_interval=timedelta(seconds=5), maximum_attempts=0
)
REFUSED_AGAIN_AFTER = timedelta(seconds=30)
"""A pager that says no has woken nobody: that is worth less patience than a page that may still be read."""
PAGES_PER_RUN = 50


@workflow.defn(name=ESCALATION_WORKFLOW)
class EscalationWorkflow:
    """One safety case's pages, id ``escalation/<journey>/<case>``."""

    @workflow.init
    def __init__(self, start: EscalationStart) -> None:
        self._start = start
        self._answered = False

    @workflow.run
    async def run(self, start: EscalationStart) -> str:
        """Page until somebody answers."""
        first = start.pages_sent + 1
        for number in range(first, first + PAGES_PER_RUN):
            workflow.set_current_details(f"## Paging the clinician on call\n\nPage {number}; not answered yet.")
            outcome = await self._page(number)
            if isinstance(outcome, Paged):
                await self._report(number, outcome)
            patience = (
                timedelta(minutes=start.page_again_minutes) if isinstance(outcome, Paged) else REFUSED_AGAIN_AFTER
            )
            if await self._is_answered_within(patience):
                workflow.set_current_details("## Answered\n\nA clinician has the case in hand.")
                return "answered"
        workflow.continue_as_new(start.model_copy(update={"pages_sent": first + PAGES_PER_RUN - 1}))

    async def _page(self, number: int) -> EffectOutcome | None:
        """Page, for as long as the pager does not answer; None when a clinician answers first."""
        start = self._start
        page = workflow.start_activity(
            PAGE_ON_CALL,
            EffectCall(
                key=self._key(number),
                journey_id=start.journey_id,
                attempt=1,
                request=PageOnCall(journey_id=start.journey_id, case_id=start.case_id, raised_at=start.raised_at),
            ),
            result_type=EffectResult,
            start_to_close_timeout=PAGE_TIMEOUT,
            retry_policy=PAGE_RETRY,
            summary=f"page {number}",
        )
        await workflow.wait_condition(lambda: self._answered or page.done())
        if page.done():
            result: EffectResult = page.result()
            return result.outcome
        page.cancel()
        return None

    def _key(self, number: int) -> str:
        """The page's idempotency key. The first is known to the API too: whoever sends it, it rings once."""
        run = "first" if number == 1 else workflow.info().first_execution_run_id
        return f"{self._start.journey_id}.{self._start.case_id}.page.{run}.{number}"

    async def _report(self, number: int, paged: Paged) -> None:
        """Have the journey told. Not from here: sealing for a patient needs a key, and no key may hold up a page."""
        start = self._start
        await workflow.start_child_workflow(
            PAGE_REPORT_WORKFLOW,
            PageReport(
                journey_id=start.journey_id,
                case_id=start.case_id,
                fact_id=self._key(number),
                page_id=paged.page_id,
                paged_at=workflow.now() - timedelta(seconds=start.clock_shift_seconds),
            ),
            id=f"{workflow.info().workflow_id}/page/{number}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary="Tell the journey that a page went out",
        )

    async def _is_answered_within(self, patience: timedelta) -> bool:
        try:
            await workflow.wait_condition(
                lambda: self._answered, timeout=patience, timeout_summary="page again unless answered"
            )
        except TimeoutError:
            return False
        return True

    @workflow.signal(name="answered")
    def answered(self) -> None:
        """A clinician has the case in hand."""
        self._answered = True


@workflow.defn(name=PAGE_REPORT_WORKFLOW)
class PageReportWorkflow:
    """Carries one page's id to the journey, id ``escalation/<journey>/<case>/page/<number>``."""

    @workflow.run
    async def run(self, report: PageReport) -> str:
        """Report it as the fact ``on_call_paged``."""
        fact = FactEnvelope(
            fact_id=report.fact_id,
            name=PagerReported.name,
            source="escalation",
            occurred_at=report.paged_at,
            body=PagerReported(case_id=report.case_id, page_id=report.page_id).model_dump(mode="json"),
        )
        journey = workflow.get_external_workflow_handle(journey_workflow_id(report.journey_id))
        try:
            await journey.signal(fact.name, fact)
        except FailureError:
            workflow.logger.warning("journey_not_running")
            return "journey not running"
        return "reported"
