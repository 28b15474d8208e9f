"""Telemetry as a process sets it up, with its log lines caught."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from runtime.logs import configure_logs
from runtime.settings import Settings
from runtime.telemetry import start_telemetry


@pytest.fixture(scope="package", autouse=True)
def _telemetry() -> Iterator[None]:
    """Start telemetry once, as a process does; afterwards logging is as pytest had it."""
    handlers, level = logging.root.handlers, logging.root.level
    hooks = sys.excepthook, threading.excepthook
    provider = start_telemetry(Settings(), "test", stream=io.StringIO())
    yield
    provider.shutdown()
    logging.root.handlers, logging.root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Catch every line that this test's process logs."""
    stream = io.StringIO()
    before = logging.root.handlers
    configure_logs("debug", stream)
    yield stream
    logging.root.handlers = before
    logging.root.setLevel(logging.INFO)
