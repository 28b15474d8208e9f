"""An HTTP transport that answers by script and remembers what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2


class Wiretap(httpx2.AsyncBaseTransport):
    """Answers every request alike."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        self._status = status
        self._body = body
        self._headers = dict(headers or {})
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self._status, json=self._body, headers=self._headers)
