"""Puts the API together. What it reaches is handed in, opened when it starts and closed when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from importlib import metadata

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from api import codec, operations, reads, webhooks
from api.codec import CodecCors
from api.commands import command_routes
from api.openapi import describe
from api.ports import Ports
from api.problems import install_problems
from api.requests import Requests
from api.urgent import keep_delivering
from runtime.settings import Settings

OpenPorts = Callable[[], AbstractAsyncContextManager[Ports]]

DESCRIPTION = (
    "Orchestrates ketamine-assisted psychotherapy, one durable journey per patient. Writes need an `Idempotency-Key`; "
    "failures are problem details (RFC 9457) whose `code` says why and whose `detail` says what to do next."
)


def create_app(settings: Settings, open_ports: OpenPorts) -> FastAPI:
    """Make the application. ``open_ports`` is entered at its start and left at its stop."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_ports() as ports:
            app.state.ports = ports
            delivering = asyncio.create_task(keep_delivering(ports))
            yield
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering

    app = FastAPI(
        title="Alliance",
        version=metadata.version("alliance"),
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.registry = CollectorRegistry()
    app.add_middleware(Requests, registry=app.state.registry)
    app.add_middleware(CodecCors, origins=settings.codec_allowed_origins)
    install_problems(app)
    app.include_router(command_routes())
    for part in (reads, webhooks, codec, operations):
        app.include_router(part.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app
