"""The simulated systems as a test sees them: their addresses, their faults, and their count of what took effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2


@dataclass(frozen=True)
class Outside:
    """Pharmacy, PDMP, pager and mail in one process."""

    url: str
    smtp_port: int
    control: httpx2.AsyncClient

    async def order(self, system: str, mode: str, **more: Any) -> None:
        """Order a fault for the system's next request."""
        answer = await self.control.post("/control/faults", json={"system": system, "mode": mode, **more})
        answer.raise_for_status()

    async def took_effect(self, system: str, key: str) -> int:
        """Count how often the system acted under this key."""
        return int(await self._seen(system, key, "took_effect"))

    async def received(self, system: str, key: str) -> int:
        """Count how often the system was asked under this key."""
        return int(await self._seen(system, key, "received"))

    async def _seen(self, system: str, key: str, what: str) -> int:
        seen = (await self.control.get("/control/seen")).json()
        return int(seen[system].get(key, {}).get(what, 0))


class MemoryClaims:
    """Claims that are kept as long as the test."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def claim(self, key: str, journey_id: UUID) -> bool:
        claimed = key in self.keys
        self.keys.append(key)
        return claimed


class LosesAnswers(httpx2.AsyncHTTPTransport):
    """A network that delivers the next request and loses its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.lose_next = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if self.lose_next:
            self.lose_next = False
            await response.aread()
            await response.aclose()
            raise httpx2.ReadTimeout("lost on purpose", request=request)
        return response
