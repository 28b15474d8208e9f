"""The worker that pages: its own process, queue and deployment, with nothing in it that could be busy (D12)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from temporalio.worker import Worker

from activities.paging import Pager, PagingActivities
from runtime.http import http_client
from runtime.names import ESCALATIONS
from runtime.settings import Settings
from runtime.temporal import connect
from store.keys import KeyStore
from store.pool import open_pool
from vault.kek import LocalFileKek
from worker.journeys import GRACE, STICKY_TIMEOUT, deployment
from workflows.escalation import EscalationWorkflow, PageReportWorkflow

NEEDED = ("keys_database_url", "kek_file", "pager_url")
PAGER_TIMEOUT_SECONDS = 2.0
# The system key seals ids only, and must outlive an outage of the key database: a page never waits for it.
KEY_CACHE_SECONDS = 7 * 24 * 3600.0


@asynccontextmanager
async def escalation_worker(settings: Settings) -> AsyncIterator[Worker]:
    """The worker, running."""
    settings.check(*NEEDED)
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.need("keys_database_url"), application_name="alliance-escalations")
        stack.push_async_callback(pool.close)
        keys = KeyStore(pool, LocalFileKek.open(Path(settings.need("kek_file"))), cache_seconds=KEY_CACHE_SECONDS)
        await keys.system_key()
        client = await connect(settings, keys)
        pager = await stack.enter_async_context(
            http_client(settings.need("pager_url"), timeout_seconds=PAGER_TIMEOUT_SECONDS)
        )
        worker = Worker(
            client,
            task_queue=ESCALATIONS,
            workflows=[EscalationWorkflow, PageReportWorkflow],
            activities=[PagingActivities(Pager(pager)).page_on_call],
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=GRACE,
            deployment_config=deployment("alliance-escalations", settings),
        )
        await stack.enter_async_context(worker)
        yield worker
