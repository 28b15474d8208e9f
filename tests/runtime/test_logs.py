"""Logs: what may be said is listed; what a patient is called is said nowhere."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog

from runtime.telemetry import span

MARK = "Zaphod Beeblebrox"
JOURNEY = UUID("0193e6a0-0000-7000-8000-000000000001")


def lines(logged: io.StringIO) -> list[dict[str, Any]]:
    """Parse what was logged."""
    return [json.loads(line) for line in logged.getvalue().splitlines()]


def test_listed_fields_are_kept(logged: io.StringIO) -> None:
    """Ids, codes, counts and times come through as they are, with level, time and logger."""
    structlog.get_logger("api").info(
        "command_accepted", journey_id=JOURNEY, command="sign_prescription", version=4, status=True
    )
    (line,) = lines(logged)

    assert {
        "event": "command_accepted",
        "level": "info",
        "logger": "api",
        "journey_id": str(JOURNEY),
        "command": "sign_prescription",
        "version": 4,
        "status": True,
    } == {key: value for key, value in line.items() if key != "timestamp"}
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC


def test_everything_else_is_dropped(logged: io.StringIO) -> None:
    """An unlisted field, prose or an address under a listed name, and prose as event leave no trace."""
    log = structlog.get_logger("api")
    log.info("command_accepted", note=MARK, reason=MARK, subject="zaphod@example.org", code={"name": MARK})
    log.info(f"could not admit {MARK}")  # noqa: G004 - the mistake that the list must survive
    accepted, unnamed = lines(logged)

    assert {"event", "level", "logger", "timestamp"} == accepted.keys()
    assert "unnamed_event" == unnamed["event"]
    assert "Beeblebrox" not in logged.getvalue()
    assert "zaphod" not in logged.getvalue()


def test_bound_context_is_filtered_too(logged: io.StringIO) -> None:
    """What is bound for a whole request passes the same list."""
    with structlog.contextvars.bound_contextvars(journey_id=JOURNEY, patient=MARK):
        structlog.get_logger().warning("append_stalled")

    assert str(JOURNEY) == lines(logged)[0]["journey_id"]
    assert MARK not in logged.getvalue()


def fail_with(name: str) -> None:
    """Fail twice over, with the name in both messages."""
    try:
        int(name)
    except ValueError as error:
        raise RuntimeError(f"no number: {name}") from error


def test_exceptions_lose_their_words(logged: io.StringIO) -> None:
    """Of a chain of exceptions the types and our own frames are logged, neither messages nor library frames."""
    try:
        fail_with(MARK)
    except RuntimeError:
        structlog.get_logger("worker").exception("append_failed", journey_id=JOURNEY)
        logging.getLogger("some.library").exception("it went wrong")
    ours, theirs = lines(logged)

    assert ["RuntimeError", "ValueError"] == ours["error"]
    assert ours["frames"] == theirs["frames"]
    assert any(frame.startswith("tests/runtime/test_logs.py:fail_with:") for frame in ours["frames"])
    assert "it went wrong" == theirs["message"]
    assert MARK not in logged.getvalue()


def test_library_messages_are_kept_only_when_constant(logged: io.StringIO) -> None:
    """A literal of the logging function is a message; one that was put together may hold anything, so is dropped."""
    library = logging.getLogger("some.library")
    library.warning("a constant, with %s", MARK)
    library.warning(f"put together with {MARK}")
    constant, composed = lines(logged)

    assert "a constant, with %s" == constant["message"]
    assert "message" not in composed
    assert "library_logged" == composed["event"]
    assert composed["where"].startswith("test_logs:test_library_messages_are_kept_only_when_constant:")
    assert MARK not in logged.getvalue()


async def test_forgotten_task_is_logged_without_its_words(logged: io.StringIO) -> None:
    """A task nobody awaited: asyncio writes its exception into the message, which does not come through."""

    async def fail() -> None:
        raise ValueError(MARK)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()

    assert ["ValueError"] in [line.get("error") for line in lines(logged)]
    assert MARK not in logged.getvalue()


@pytest.mark.filterwarnings("default")
def test_warnings_are_logged_without_their_words(logged: io.StringIO) -> None:
    """Python's warnings go the same way."""
    logging.captureWarnings(capture=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"odd: {MARK}", RuntimeWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert ["py.warnings"] == [line["logger"] for line in lines(logged)]
    assert MARK not in logged.getvalue()


def test_crash_is_one_clean_line(logged: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that ends the process or a thread is one JSON line, and Python prints no traceback of its own."""
    try:
        fail_with(MARK)
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=fail_with, args=(MARK,))
    thread.start()
    thread.join()

    assert ["process_crashed", "process_crashed"] == [line["event"] for line in lines(logged)]
    assert ["RuntimeError", "ValueError"] == lines(logged)[1]["error"]
    assert MARK not in logged.getvalue() + capsys.readouterr().err


def test_trace_is_named(logged: io.StringIO) -> None:
    """A line logged inside a span carries its trace and span ids."""
    with span("test_work") as current:
        structlog.get_logger().info("work_done")
    (line,) = lines(logged)

    assert f"{current.get_span_context().trace_id:032x}" == line["trace_id"]
    assert f"{current.get_span_context().span_id:016x}" == line["span_id"]


def test_a_line_that_cannot_be_written_is_not_printed(logged: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """By default logging prints a failed record's arguments to stderr; here only the loss is told."""
    logged.close()
    logging.getLogger("some.library").warning("name: %s", MARK)

    assert '"event": "log_line_lost"' in (err := capsys.readouterr().err)
    assert MARK not in err


def test_http_client_logs_no_urls(logged: io.StringIO) -> None:
    """Neither the HTTP client nor the web server writes URLs, even at debug level."""
    logging.getLogger("httpx2").info('HTTP Request: GET %s "200"', f"http://ehr.example/{uuid4()}")
    logging.getLogger("uvicorn.access").info("GET /journeys")

    assert [] == lines(logged)
