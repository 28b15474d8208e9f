"""What an HTTP answer means to an effect: done, refused for good, or no answer at all.

Told apart in one place, because taking a refusal for an outage repeats it for ever, and taking an outage for a
refusal calls a person for nothing.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote

import httpx2

from domain.effects import EffectRejected
from domain.values import Json

_FOR_GOOD: Final = frozenset({400, 409, 410, 412, 413, 415, 422})
"""Statuses that blame the request. Others, such as 401, 404 or 429, blame the configuration or the moment."""

_CODE = re.compile(r"[\w.:/$-]{1,160}", re.ASCII)


class OutsideUnavailableError(Exception):
    """An outside system gave no answer to rely on. It may or may not have acted: ask it before sending again."""

    def __init__(self, system: str, what: str) -> None:
        """``system`` is our name for it; ``what`` is a code such as ``timeout``, ``unreadable`` or ``status_503``."""
        super().__init__(f"{system} gave no usable answer ({what}); check that it is up and how we reach it")
        self.system = system
        self.what = what


class Wire:
    """Requests to one outside system. Exceptions carry neither URL nor content."""

    def __init__(self, system: str, client: httpx2.AsyncClient) -> None:
        self.system = system
        self._client = client

    async def post(self, path: str, key: str, body: Json, content_type: str = "application/json") -> httpx2.Response:
        """Send under an idempotency key; an answer of 2xx, or one that refuses for good."""
        headers = {"Idempotency-Key": key, "Content-Type": content_type, "Accept": content_type}
        response = await self._exchange(self._client.build_request("POST", path, json=body, headers=headers))
        if response.is_success or response.status_code in _FOR_GOOD:
            return response
        raise OutsideUnavailableError(self.system, f"status_{response.status_code}")

    async def get(self, *path: str) -> Any | None:
        """Read the JSON at a path whose last part is an id; None when there is nothing."""
        url = "/".join((*path[:-1], quote(path[-1], safe="")))
        response = await self._exchange(self._client.build_request("GET", url))
        if response.status_code in {404, 410}:
            return None
        if response.is_success:
            return self.json(response)
        raise OutsideUnavailableError(self.system, f"status_{response.status_code}")

    def json(self, response: httpx2.Response) -> Any:
        """Read an answer's JSON. Raises OutsideUnavailableError when it is none."""
        try:
            return response.json()
        except ValueError:
            raise OutsideUnavailableError(self.system, "unreadable") from None

    async def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        # The client's timeouts are for each read; a server that trickles would hold the attempt for ever.
        # `from None`: the library's exceptions hold the request, and its URL and body with it.
        try:
            async with asyncio.timeout(self._client.timeout.read):
                return await self._client.send(request)
        except (TimeoutError, httpx2.TimeoutException):
            raise OutsideUnavailableError(self.system, "timeout") from None
        except httpx2.HTTPError:
            raise OutsideUnavailableError(self.system, "no_connection") from None


def rejected(response: httpx2.Response, code: str | None = None) -> EffectRejected:
    """Turn a refusal into an outcome, under the system's own code when that is a code and not prose."""
    if code is not None and _CODE.fullmatch(code):
        return EffectRejected(code=code)
    return EffectRejected(code=f"http_{response.status_code}")


def issue_code(response: httpx2.Response) -> str | None:
    """Find the first error's code in a FHIR OperationOutcome, if that is what the answer holds."""
    try:
        issues = response.json()["issue"]
        return str(next(issue["code"] for issue in issues if issue.get("severity") in {"error", "fatal"}))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
