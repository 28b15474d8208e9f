"""Spans: short, named, with listed attributes only, and without the words of an exception."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

from runtime.http import http_client
from runtime.metrics import counter, gauge, histogram
from runtime.settings import Settings
from runtime.telemetry import span, tracer_provider
from tests.runtime.wiretap import Wiretap

MARK = "Zaphod Beeblebrox"
JOURNEY = UUID("0193e6a0-0000-7000-8000-000000000001")


@pytest.fixture
def exported() -> InMemorySpanExporter:
    """Every span that ends from now on."""
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def test_span_carries_listed_ids(exported: InMemorySpanExporter) -> None:
    """An id is exported as text under its listed name."""
    with span("decide_command", journey_id=JOURNEY, attempt=2):
        pass
    (finished,) = exported.get_finished_spans()

    assert {"journey_id": str(JOURNEY), "attempt": 2} == dict(finished.attributes or {})


def test_unlisted_attribute_is_refused() -> None:
    """An attribute that is not on the list is a bug, found the first time the line runs."""
    with pytest.raises(ValueError, match="patient"), span("decide_command", patient=MARK):
        pass


def test_exception_is_named_not_quoted(exported: InMemorySpanExporter) -> None:
    """A failed span says which type of exception ended it, and nothing that the exception said."""
    with pytest.raises(KeyError), span("decide_command"):
        raise KeyError(MARK)
    (finished,) = exported.get_finished_spans()

    assert (StatusCode.ERROR, "KeyError") == (finished.status.status_code, finished.status.description)
    assert MARK not in str(finished.to_json())


async def test_requests_carry_the_trace() -> None:
    """An outside system gets the traceparent of the span that calls it, and follows no redirect for us."""
    tap = Wiretap(status=302, headers={"Location": "http://elsewhere.example/"})
    async with http_client("http://pharmacy.example/api", timeout_seconds=1, token="t0ken", transport=tap) as client:
        with span("transmit_prescription") as current:
            response = await client.post("messages", json={})
    (request,) = tap.requests

    assert 302 == response.status_code
    assert "http://pharmacy.example/api/messages" == str(request.url)
    assert f"{current.get_span_context().trace_id:032x}" == request.headers["traceparent"].split("-")[1]
    assert "Bearer t0ken" == request.headers["Authorization"]


class Collector(BaseHTTPRequestHandler):
    """An OTLP collector that keeps the bytes it is sent."""

    received: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_spans_are_exported_when_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the standard variable a span reaches the collector, under its process's name; without it nothing does."""
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
        silent = tracer_provider(Settings(), "worker")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        exporting = tracer_provider(Settings(), "api")
        for provider in (silent, exporting):
            provider.get_tracer("test").start_span("test_span").end()
            provider.shutdown()
        server.shutdown()
        thread.join()
    ((path, body),) = Collector.received

    assert "/v1/traces" == path
    assert b"alliance-api" in body
    assert b"test_span" in body


def test_metric_labels_are_listed() -> None:
    """A label that could hold an id is a bug, found when the metric is made; a listed one is counted under our name."""
    registry = CollectorRegistry()
    counter("commands", "Commands by outcome.", "command", "outcome", registry=registry).labels(
        "open", "accepted"
    ).inc()

    assert 1.0 == registry.get_sample_value("alliance_commands_total", {"command": "open", "outcome": "accepted"})
    for make in (counter, gauge, histogram):
        with pytest.raises(ValueError, match="journey_id"):
            make("held", "Journeys on hold.", "journey_id", registry=registry)
