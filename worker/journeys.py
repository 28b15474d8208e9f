"""The worker that runs journeys: workflows and the ledger on one queue, effects on another.

Two queues, so that a slow pharmacy takes no place from an append.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.ehr import Ehr, EhrActivities
from activities.ledger import LedgerActivities
from activities.messaging import Mail, MessagingActivities, Relay
from activities.pdmp import Pdmp, PdmpActivities, PdmpReview
from activities.pharmacy import Pharmacy, PharmacyActivities
from domain.protocols import CATALOGUE
from runtime.http import http_client
from runtime.names import EFFECTS, JOURNEYS
from runtime.settings import Settings
from runtime.temporal import connect
from store.claims import EffectClaims
from store.keys import KeyStore
from store.log import EventLog
from store.pool import open_pool
from vault.kek import LocalFileKek
from workflows.journey import JourneyWorkflow

NEEDED = (
    "log_database_url",
    "keys_database_url",
    "kek_file",
    "ehr_url",
    "pharmacy_url",
    "pdmp_url",
    "smtp_url",
    "mail_from",
    "portal_url",
    "mail_status_url",
)
"""The settings without which this process does not start."""

# After a worker dies, its journeys wait this long for it before another one takes them over.
STICKY_TIMEOUT = timedelta(seconds=1)
GRACE = timedelta(seconds=30)


@asynccontextmanager
async def journey_workers(settings: Settings) -> AsyncIterator[tuple[Worker, ...]]:
    """Both workers, running. Leaving drains them: what was begun is finished within the grace time."""
    settings.check(*NEEDED)
    async with AsyncExitStack() as stack:
        log_pool = await open_pool(settings.need("log_database_url"), application_name="alliance-worker")
        stack.push_async_callback(log_pool.close)
        keys_pool = await open_pool(settings.need("keys_database_url"), application_name="alliance-worker")
        stack.push_async_callback(keys_pool.close)
        keys = KeyStore(keys_pool, LocalFileKek.open(Path(settings.need("kek_file"))))
        client = await connect(settings, keys)
        ledger = LedgerActivities(EventLog(log_pool), keys)
        effects = await _effects(settings, EffectClaims(log_pool), stack)
        workers = (_journeys(client, settings, ledger), _outside(client, settings, effects))
        for worker in workers:
            await stack.enter_async_context(worker)
        yield workers


def _journeys(client: Client, settings: Settings, ledger: LedgerActivities) -> Worker:
    return Worker(
        client,
        task_queue=JOURNEYS,
        workflows=[JourneyWorkflow],
        activities=[ledger.append_events, ledger.find_receipt],
        max_cached_workflows=settings.max_cached_workflows,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment("alliance-journeys", settings),
    )


def _outside(client: Client, settings: Settings, effects: list[Callable[..., Any]]) -> Worker:
    return Worker(
        client,
        task_queue=EFFECTS,
        activities=effects,
        max_concurrent_activities=50,
        graceful_shutdown_timeout=GRACE,
        deployment_config=deployment("alliance-effects", settings),
    )


def deployment(name: str, settings: Settings) -> WorkerDeploymentConfig | None:
    """Pin runs to this build, where builds are managed (D7). Without it a run goes to any worker of its queue."""
    if not settings.worker_versioning:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=name, build_id=settings.build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def _effects(settings: Settings, claims: EffectClaims, stack: AsyncExitStack) -> list[Callable[..., Any]]:
    limit = settings.request_timeout_seconds

    async def client(url: str, token: str | None = None) -> AsyncClient:
        return await stack.enter_async_context(http_client(settings.need(url), timeout_seconds=limit, token=token))

    token = settings.ehr_token.get_secret_value() if settings.ehr_token else None
    relay = Relay(
        url=settings.need("smtp_url"),
        sender=settings.need("mail_from"),
        portal_url=settings.need("portal_url"),
        timeout_seconds=limit,
    )
    rules = [protocol for protocol in CATALOGUE.values() if protocol.substance.schedule != "I"]
    review = PdmpReview(
        prescribers_min=min(protocol.prescription.pdmp_review_prescribers_min for protocol in rules),
        exempt_rxnorm=frozenset(protocol.substance.rxnorm for protocol in rules),
    )
    return [
        EhrActivities(Ehr(await client("ehr_url", token)), claims).write_ehr_records,
        PharmacyActivities(Pharmacy(await client("pharmacy_url")), claims).transmit_prescription,
        PdmpActivities(Pdmp(await client("pdmp_url"), review), claims).query_pdmp,
        MessagingActivities(Mail(relay, await client("mail_status_url")), claims).send_message,
    ]
