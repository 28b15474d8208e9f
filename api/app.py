"""Puts the API together. What it reaches is handed in, so tests can hand in something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import metadata

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from api import codec, docs, operations, reads, webhooks
from api.codec import CodecCors
from api.commands import command_routes
from api.openapi import describe
from api.paging import Confirmations
from api.ports import Ports
from api.problems import install_problems
from api.requests import Requests
from api.urgent import keep_delivering

DESCRIPTION = (
    "Orchestrates ketamine-assisted psychotherapy, one durable journey per patient. Writes need an `Idempotency-Key`; "
    "failures are problem details (RFC 9457) whose `code` says why and whose `detail` says what to do next."
)


def create_app(ports: Ports) -> FastAPI:
    """Make the application over what it may reach; the caller opens that before and closes it after."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        delivering = asyncio.create_task(keep_delivering(ports))
        yield
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering
        await app.state.confirmations.stop()

    app = FastAPI(
        title="Alliance",
        version=metadata.version("alliance"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.ports = ports
    app.state.confirmations = Confirmations()
    app.state.registry = CollectorRegistry()
    app.add_middleware(Requests, registry=app.state.registry)
    app.add_middleware(CodecCors, origins=ports.settings.codec_allowed_origins)
    install_problems(app)
    app.include_router(command_routes())
    for part in (reads, webhooks, codec, operations, docs):
        app.include_router(part.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app
