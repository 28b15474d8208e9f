"""One API per test over stand-ins, and a client for it."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog
from fastapi import FastAPI

from api.app import create_app
from api.auth import TokenVerifier
from api.inbox import Inbox
from api.paging import Confirmations
from api.ports import Ports
from domain.envelope import Role
from runtime.logs import configure_logs
from runtime.settings import Settings
from tests.api.fakes import FakeJourneys, FakeKeys, FakeLists, FakeLog, FakePager
from tests.api.issuer import AUDIENCE, ISSUER, Issuer, bearer
from tests.domain import v1

UI = "http://localhost:8233"
SECRET = "webhook-secret"


@dataclass
class Api:
    """The API, what it reaches, and a client that shows also what should not be: an exception's answer."""

    app: FastAPI
    http: httpx2.AsyncClient
    ports: Ports
    issuer: Issuer
    journeys: FakeJourneys
    keys: FakeKeys
    log: FakeLog
    lists: FakeLists
    pager: FakePager
    journey_id: UUID

    def headers(self, *roles: Role | str, key: UUID | str | None = None, **more: str) -> dict[str, str]:
        """Sign in as the person whom V1 knows in the first of these roles."""
        subject = f"subject-{roles[0]}" if roles else "subject-nobody"
        keyed = {} if key == "" else {"Idempotency-Key": str(key or uuid4())}
        return bearer(self.issuer.token(*roles, subject=subject)) | keyed | more

    async def command(self, name: str, body: Any, *roles: Role | str, **headers: Any) -> httpx2.Response:
        """Send a command; bytes are sent as they are."""
        path = f"/journeys/{self.journey_id}/commands/{name}"
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(path, headers=self.headers(*roles, **headers), **content)


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """Catch every line that the API logs, as it would be written."""
    stream, handlers, level = io.StringIO(), logging.root.handlers, logging.root.level
    hooks = sys.excepthook, threading.excepthook
    configure_logs("info", stream)
    yield stream
    logging.root.handlers, logging.root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Give the settings as a deployment with patients has them."""
    return Settings(
        oidc_issuer=ISSUER,
        oidc_audience=AUDIENCE,
        pharmacy_webhook_secret=SECRET,
        codec_allowed_origins=(UI,),
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    """Build the application once: its fifty routes take a quarter of a second, and it keeps nothing."""
    return create_app(cast("Ports", SimpleNamespace(settings=settings)))


@pytest.fixture
async def api(app: FastAPI, settings: Settings, tmp_path: Path) -> AsyncIterator[Api]:
    """Open the API with one journey in its log: V1 on its eighth day, found eligible."""
    issuer, journeys, keys, log, lists, pager = (
        Issuer(),
        FakeJourneys(),
        FakeKeys(),
        FakeLog(),
        FakeLists(),
        FakePager(),
    )
    story = v1.eligible()
    log.records[story.journey.journey_id] = story.records
    async with issuer.client() as issuer_client:

        async def up() -> None:
            """Answer at once."""

        ports = Ports(
            settings=settings,
            tokens=TokenVerifier(ISSUER, AUDIENCE, issuer_client),
            journeys=journeys,
            log=log,
            lists=lists,
            keys=keys,
            pager=pager,
            inbox=Inbox(tmp_path / "inbox", keys.key),
            probes={"log_database": up, "keys_database": up, "temporal": up},
            workers={"journeys": up, "escalations": up},
        )
        app.state.ports, app.state.confirmations = ports, Confirmations()
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
            yield Api(app, http, ports, issuer, journeys, keys, log, lists, pager, story.journey.journey_id)
        await app.state.confirmations.stop()
