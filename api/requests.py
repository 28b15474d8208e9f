"""Around every request: a span, two metrics, and a last resort for what nobody expected.

Routes are named by their templates, so that no id becomes a label; a path that fits no route is ``unmatched``.
"""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID, uuid4

import structlog
from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ProblemError
from runtime.metrics import counter, histogram
from runtime.telemetry import span

log = structlog.get_logger(__name__)

_METHODS: Final = frozenset({"GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE"})
_W3C: Final = TraceContextTextMapPropagator()


class Requests:
    """The outermost layer but one (CORS is around it, for its headers belong on errors too)."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route")
        self._count = counter("http_requests", "Requests answered", *labels, "status", registry=registry)
        self._seconds = histogram("http_request_seconds", "Time to the last byte", *labels, registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        started, answer = time.perf_counter(), _Answer(send)
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        token = otel_context.attach(_W3C.extract(carrier))
        try:
            with span("http_request", SpanKind.SERVER, method=method) as current:
                await self._serve(scope, receive, answer)
                current.set_attribute("route", _route(scope))
                current.set_attribute("status", answer.status)
                if journey_id := _journey_id(scope):
                    current.set_attribute("journey_id", journey_id)
        finally:
            otel_context.detach(token)
            self._count.labels(method, _route(scope), str(answer.status)).inc()
            self._seconds.labels(method, _route(scope)).observe(time.perf_counter() - started)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer)
        except Exception:
            if answer.started:
                raise  # the status is out; only cutting the connection tells the client
            event_id = uuid4()
            log.exception("request_failed", event_id=event_id, operation=getattr(scope.get("route"), "name", "none"))
            detail = "This is our mistake, and it was noted. Quote instance when you ask about it."
            problem = ProblemError(500, "INTERNAL", detail, instance=f"urn:uuid:{event_id}")
            await problem.response(scope["path"])(scope, receive, answer)


class _Answer:
    """Passes a response on, and remembers how it began."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
        await self._send(message)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _journey_id(scope: Scope) -> str | None:
    """The journey in the path, if that is where an id stands."""
    try:
        return str(UUID(str(scope.get("path_params", {})["journey_id"])))
    except (KeyError, ValueError):
        return None
