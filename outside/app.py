"""The simulated systems put together: one web application and one SMTP server on one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from outside import mail, pager, pdmp, pharmacy
from outside.faults import Faults, System, faults_router
from outside.webhooks import Webhooks


@dataclass(frozen=True)
class SimulatorSettings:
    """Where to listen and whom the pharmacy tells. ``webhook_secret`` is shared with the receiver."""

    host: str
    smtp_port: int
    webhook_url: str
    webhook_secret: bytes


def create_app(settings: SimulatorSettings) -> FastAPI:
    """Put the application together; its lifespan also runs the SMTP server. Everything is kept in memory."""
    faults = Faults()
    webhooks = Webhooks(settings.webhook_url, settings.webhook_secret)
    chemist, monitor, duty_pager, mailbox = (
        pharmacy.Pharmacy(webhooks),
        pdmp.Pdmp(),
        pager.Pager(),
        mail.Mailbox(faults),
    )
    seen = {
        System.PHARMACY: chemist.messages.seen,
        System.PDMP: monitor.queries.seen,
        System.PAGER: duty_pager.pages.seen,
        System.MAIL: mailbox.messages.seen,
    }

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        smtp = await mail.serve_smtp(mailbox, settings.host, settings.smtp_port)
        try:
            yield
        finally:
            smtp.close()
            await webhooks.close()

    app = FastAPI(title="The outside world", lifespan=lifespan)
    for router in (
        pharmacy.client_routes(chemist, faults),
        pharmacy.control_routes(chemist),
        pdmp.client_routes(monitor, faults),
        pdmp.control_routes(monitor),
        pager.client_routes(duty_pager, faults),
        pager.control_routes(duty_pager),
        mail.client_routes(mailbox, faults),
        mail.control_routes(mailbox),
        faults_router(faults),
    ):
        app.include_router(router)

    @app.get("/control/seen")
    async def control_seen() -> dict[str, dict[str, dict[str, int]]]:
        """Per system and idempotency key: how often it was received, how often it took effect (never above one).

        A request that an ``error`` fault refused was not received; a rejected one took no effect and is not listed.
        """
        return {system.value: count() for system, count in seen.items()}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app
