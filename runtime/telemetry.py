"""How a process is seen from outside: logs, spans and metrics, none of which can name a patient (I6).

Spans are short: one per command, attempt or request, never one per journey, since a span that stays open for a year
is exported after a year. Exporting is chosen by the standard ``OTEL_EXPORTER_OTLP_ENDPOINT`` alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Final, TextIO
from uuid import UUID

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from runtime.logs import configure_logs
from runtime.settings import Settings

SPAN_ATTRIBUTES: Final = frozenset(
    {"journey_id", "command", "command_id", "effect_key", "system", "attempt", "code", "route", "method", "status"}
)
"""Every attribute a span of ours may carry. All are opaque ids, codes or names in our code."""


def start_telemetry(settings: Settings, process: str, *, stream: TextIO | None = None) -> TracerProvider:
    """Set up logs and spans for this process. Call once, first; ``shutdown()`` the result last to flush spans."""
    configure_logs(settings.log_level, stream)
    provider = tracer_provider(settings, process)
    trace.set_tracer_provider(provider)
    return provider


def tracer_provider(settings: Settings, process: str) -> TracerProvider:
    """Make the source of spans, exported by OTLP over HTTP when the environment names an endpoint."""
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: f"alliance-{process}", SERVICE_VERSION: settings.build_id})
    )
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **ids: str | int | UUID) -> Iterator[Span]:
    """One short piece of work. ``name`` is a constant; ``ids`` are among SPAN_ATTRIBUTES, else ValueError.

    An exception marks the span with its type's name, and never with its message.
    """
    if unknown := ids.keys() - SPAN_ATTRIBUTES:
        raise ValueError(f"span attributes {sorted(unknown)} are not allowed: add them to SPAN_ATTRIBUTES if harmless")
    attributes = {key: str(value) if isinstance(value, UUID) else value for key, value in ids.items()}
    tracer = trace.get_tracer("alliance")
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


@cache
def temporal_runtime(metrics_bind: str | None) -> Runtime:
    """Start the SDK's engine, with its metrics on ``metrics_bind`` and its own log lines sent through ours.

    One per process: each has its own thread pool, and the metrics port can be bound once.
    """
    forwarding = LogForwardingConfig(
        logger=logging.getLogger("temporalio.core"),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,  # the fields hold failures
    )
    metrics = (
        PrometheusConfig(
            bind_address=metrics_bind,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
        if metrics_bind
        else None
    )
    return Runtime(
        telemetry=TelemetryConfig(
            metrics=metrics,
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding
            ),
        ),
        worker_heartbeat_interval=timedelta(seconds=60),
    )
