"""Our own Prometheus metrics, with labels that cannot hold an id (I6).

The SDK's metrics are served by ``runtime.telemetry.temporal_runtime``; these are what ``prometheus_client`` serves
where a process has a ``/metrics`` route.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

LABELS: Final = frozenset({"command", "code", "method", "outcome", "route", "status", "system"})
"""Every label a metric of ours may have. Each has few values, all of them names in our code."""


def counter(name: str, description: str, *labels: str, registry: CollectorRegistry = REGISTRY) -> Counter:
    """Count something. Raises ValueError for a label that is not listed."""
    return Counter(_named(name), description, _listed(labels), registry=registry)


def gauge(name: str, description: str, *labels: str, registry: CollectorRegistry = REGISTRY) -> Gauge:
    """Show the present value of something. Raises ValueError for a label that is not listed."""
    return Gauge(_named(name), description, _listed(labels), registry=registry)


def histogram(name: str, description: str, *labels: str, registry: CollectorRegistry = REGISTRY) -> Histogram:
    """Observe durations in seconds. Raises ValueError for a label that is not listed."""
    return Histogram(_named(name), description, _listed(labels), registry=registry)


def _named(name: str) -> str:
    return f"alliance_{name}"


def _listed(labels: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(labels) - LABELS:
        raise ValueError(f"metric labels {sorted(unknown)} are not allowed: add them to LABELS if their values are few")
    return labels
