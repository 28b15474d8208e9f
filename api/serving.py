"""The API as a process: opens the real stores, Temporal, pager and identity provider, and serves until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from activities.paging import Pager
from api.app import create_app
from api.auth import TokenVerifier
from api.inbox import Inbox
from api.ports import Ports
from api.temporal import TemporalJourneys
from runtime.health import is_polled
from runtime.http import http_client
from runtime.names import ESCALATIONS, JOURNEYS
from runtime.settings import Settings
from runtime.temporal import connect
from store.keys import KeyStore
from store.log import EventLog
from store.pool import Pool, fetch_one, open_pool
from store.projections import Projections
from vault.kek import LocalFileKek

NEEDED: Final = (
    "log_database_url",
    "keys_database_url",
    "kek_file",
    "oidc_issuer",
    "oidc_audience",
    "pager_url",
    "pharmacy_webhook_secret",
)
"""The settings without which this process does not start."""

DRAIN_SECONDS: Final = 30
_PAGER_TIMEOUT_SECONDS: Final = 5.0
_ISSUER_TIMEOUT_SECONDS: Final = 5.0


@asynccontextmanager
async def open_ports(settings: Settings, inbox_folder: Path) -> AsyncIterator[Ports]:
    """Open everything that a request may reach.

    Raises:
        SettingsError, KekFileError: a setting or the KEK file is missing or unfit.
        StoreUnavailableError, TemporalUnavailableError, IssuerUnavailableError: something does not answer.

    """
    settings.check(*NEEDED)
    async with AsyncExitStack() as stack:
        log_pool = await _pool(stack, settings.need("log_database_url"))
        keys_pool = await _pool(stack, settings.need("keys_database_url"))
        keys = KeyStore(keys_pool, LocalFileKek.open(Path(settings.need("kek_file"))))
        client = await connect(settings, keys)
        issuer = settings.need("oidc_issuer")
        tokens = TokenVerifier(
            issuer,
            settings.need("oidc_audience"),
            await stack.enter_async_context(http_client(issuer, timeout_seconds=_ISSUER_TIMEOUT_SECONDS)),
        )
        await tokens.start()
        pager = await stack.enter_async_context(
            http_client(settings.need("pager_url"), timeout_seconds=_PAGER_TIMEOUT_SECONDS)
        )
        yield Ports(
            settings=settings,
            tokens=tokens,
            journeys=TemporalJourneys(client, keys, settings.command_timeout_seconds),
            log=EventLog(log_pool),
            lists=Projections(log_pool),
            keys=keys,
            pager=Pager(pager),
            inbox=Inbox(inbox_folder, await keys.system_key()),
            probes={
                "log_database": partial(fetch_one, log_pool, "SELECT 1"),
                "keys_database": partial(fetch_one, keys_pool, "SELECT 1"),
                "temporal": partial(_describe_namespace, client),
            },
            workers={queue: partial(_need_pollers, client, queue) for queue in (JOURNEYS, ESCALATIONS)},
        )


async def _pool(stack: AsyncExitStack, dsn: str) -> Pool:
    pool = await open_pool(dsn, application_name="alliance-api")
    stack.push_async_callback(pool.close)
    return pool


async def _describe_namespace(client: Client) -> object:
    request = DescribeNamespaceRequest(namespace=client.namespace)
    return await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=2))


async def _need_pollers(client: Client, queue: str) -> None:
    if not await is_polled(client, queue):
        raise LookupError("nobody polls this task queue: start its worker")


def serve(settings: Settings, host: str, port: int, inbox_folder: Path) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end. Call ``start_telemetry`` first.

    ``inbox_folder`` must be on a disk that survives a restart: it holds safety submissions that wait for Temporal.
    Raises what ``open_ports`` raises, before it listens.
    """
    # uvicorn ends in an orderly way and then raises the signal again, which by default would kill before the cleanup.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(_serve(settings, host, port, inbox_folder))


async def _serve(settings: Settings, host: str, port: int, inbox_folder: Path) -> None:
    async with open_ports(settings, inbox_folder) as ports:
        config = uvicorn.Config(
            create_app(ports),
            host=host,
            port=port,
            access_log=False,  # it would write URLs
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            lifespan="on",
        )
        await uvicorn.Server(config).serve()
