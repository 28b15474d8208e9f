"""What runs the service asks of it: is the process alive, can it serve, how much does it serve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
    """Every system that a command needs answers, and each task queue of ``workers`` is polled.

    The second is a hint: Temporal remembers a worker that has gone for some minutes.
    """

    status: str = "ready"
    systems: tuple[str, ...]
    workers: tuple[str, ...]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Alive:
    """Answers without asking anybody: a database that is down is no reason to restart this process."""
    return Alive()


@router.get("/readyz", responses=documented(503), summary="Can it serve?")
async def readyz(ports: PortsOf) -> Ready:
    """Ask the databases, Temporal, and whether workers poll; 503 names what is missing in ``down`` and ``workers``."""
    down, idle = await asyncio.gather(_silent(ports.probes), _silent(ports.workers))
    if down or idle:
        detail = f"These do not answer: {', '.join(down)}. Check that they run and that our settings name them. "
        work = f"No worker polls: {', '.join(idle)}. Start the workers, and see their logs."
        raise unavailable(
            ((detail if down else "") + (work if idle else "")).rstrip(), "NOT_READY", down=down, workers=idle
        )
    return Ready(systems=tuple(ports.probes), workers=tuple(ports.workers))


async def _silent(probes: Mapping[str, Probe]) -> list[str]:
    """Ask all at once; the names of those that gave no sign of life."""
    answers = await asyncio.gather(*(_answers(name, probe) for name, probe in probes.items()))
    return [name for name, up in zip(probes, answers, strict=True) if not up]


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
