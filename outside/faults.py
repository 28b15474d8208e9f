"""Faults on demand: the network's four bad habits, played on purpose so that a test can count the consequences.

``error`` refuses before anything happens; ``drop_ack`` does the work and loses the answer; ``late`` does the work and
answers when the caller may have given up; ``off`` ends all of it. Only the routes a client of the system would call
are hit: the control routes and the lists for tests always answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field


class System(StrEnum):
    PHARMACY = "pharmacy"
    PDMP = "pdmp"
    PAGER = "pager"
    MAIL = "mail"


class Mode(StrEnum):
    ERROR = "error"
    DROP_ACK = "drop_ack"
    LATE = "late"
    OFF = "off"


class Fault(BaseModel):
    """What shall happen to the next ``count`` requests to ``system``; ``seconds`` is the delay of ``late``."""

    system: System
    mode: Mode
    count: int = Field(default=1, ge=1, le=10_000)
    seconds: float = Field(default=1.0, gt=0, le=120)


class Faults:
    """The faults still to come, per system, first ordered first played."""

    def __init__(self) -> None:
        self._waiting: dict[System, deque[Fault]] = {system: deque() for system in System}

    def order(self, fault: Fault) -> None:
        if fault.mode is Mode.OFF:
            self._waiting[fault.system].clear()
        else:
            self._waiting[fault.system].extend([fault] * fault.count)

    def take(self, system: System) -> Fault | None:
        """Take the fault this request must suffer, if any."""
        waiting = self._waiting[system]
        return waiting.popleft() if waiting else None

    def waiting(self) -> dict[str, int]:
        return {system.value: len(faults) for system, faults in self._waiting.items()}


def unreliable_router(system: System, faults: Faults) -> APIRouter:
    """Make a router under ``/<system>`` whose routes suffer the ordered faults."""

    class UnreliableRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def suffer(request: Request) -> Response:
                fault = faults.take(system)
                if fault is None:
                    return await handle(request)
                if fault.mode is Mode.ERROR:
                    return JSONResponse({"detail": "Fault ordered: nothing was done."}, status_code=503)
                response = await handle(request)
                if fault.mode is Mode.LATE:
                    await asyncio.sleep(fault.seconds)
                    return response
                return JSONResponse({"detail": "Fault ordered: the answer was lost."}, status_code=502)

            return suffer

    return APIRouter(prefix=f"/{system.value}", route_class=UnreliableRoute)


def faults_router(faults: Faults) -> APIRouter:
    router = APIRouter(prefix="/control/faults")

    @router.post("")
    async def order(fault: Fault) -> dict[str, int]:
        """Order a fault; answers how many are waiting per system."""
        faults.order(fault)
        return faults.waiting()

    return router
