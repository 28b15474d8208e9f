"""What runs the service asks of it: is the process alive, can it serve, how much does it serve."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.access import PortsOf
from api.ports import Probe
from api.problems import documented, unavailable
from domain.values import Value
from runtime.logs import describe_error

log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 2.0

router = APIRouter(tags=["operations"])


class Alive(Value):
    """The process answers."""

    status: str = "alive"


class Ready(Value):
    """Every system that a command needs answers."""

    status: str = "ready"
    systems: tuple[str, ...]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Alive:
    """Answers without asking anybody: a database that is down is no reason to restart this process."""
    return Alive()


@router.get("/readyz", responses=documented(503), summary="Can it serve?")
async def readyz(ports: PortsOf) -> Ready:
    """Ask the log database, the key database and Temporal; 503 names in ``down`` those that do not answer."""
    names = tuple(ports.probes)
    answers = await asyncio.gather(*(_answers(name, ports.probes[name]) for name in names))
    down = [name for name, up in zip(names, answers, strict=True) if not up]
    if down:
        detail = f"These do not answer: {', '.join(down)}. Check that they run and that our settings name them."
        raise unavailable(detail, "NOT_READY", down=down)
    return Ready(systems=names)


async def _answers(name: str, probe: Probe) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except Exception as error:  # noqa: BLE001  whatever it was, it does not answer
        log.warning("system_not_ready", system=name, **describe_error(error))
        return False
    return True


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests by route and status, and how long they took."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
