"""One way to speak HTTP to an outside system: bounded, traced, and silent about what it said.

Redirects are not followed, since a POST that holds a prescription must not go where a stranger points. Nothing logs
URLs (``runtime.logs``). The trace goes along as ``traceparent``, and nothing else of ours does.
"""

from __future__ import annotations

import httpx2
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


async def _add_traceparent(request: httpx2.Request) -> None:
    _W3C.inject(request.headers)


def http_client(
    base_url: str,
    *,
    timeout_seconds: float,
    token: str | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """A client for one outside system; close it (``async with`` or ``aclose()``) when the process stops.

    ``timeout_seconds`` bounds each of connect, write and read; adapters bound the exchange as a whole by the same.
    """
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(
        base_url=base_url,
        timeout=httpx2.Timeout(timeout_seconds, connect=min(timeout_seconds, 5.0)),
        headers=bearer,
        follow_redirects=False,
        trust_env=False,
        transport=transport,
        event_hooks={"request": [_add_traceparent]},
    )
