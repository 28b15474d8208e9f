"""Logs that cannot carry a patient: an allow-list of fields, and exceptions reduced to where they came from.

Everything that this process writes passes here, also what libraries log. The Temporal SDK, for one, logs the
messages of failed activities in clear; so a message that is not a constant of the code that logged it is dropped,
and of an exception only the types and our own frames remain (I6).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, TextIO
from uuid import UUID

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, ExcInfo, Processor

from runtime.names import journey_id_of

FIELDS: Final = frozenset(
    {
        "activity",
        "attempt",
        "build_id",
        "case_id",
        "code",
        "command",
        "command_id",
        "count",
        "duration_ms",
        "effect",
        "effect_key",
        "event_id",
        "event_type",
        "findings",
        "first",
        "host",
        "journey_id",
        "key_id",
        "key_version",
        "lane",
        "last",
        "method",
        "migration",
        "namespace",
        "operation",
        "policy_version",
        "port",
        "process",
        "projection",
        "purpose",
        "reason",
        "role",
        "route",
        "run_id",
        "sequence",
        "signal_name",
        "stage",
        "status",
        "step",
        "subject",
        "system",
        "task_queue",
        "tree_size",
        "version",
        "workflow",
        "workflow_id",
    }
)
"""Every field a log line may carry besides its own frame. All are opaque ids, codes, counts or names in our code."""

_FRAME_FIELDS: Final = frozenset({"event", "level", "logger", "message", "timestamp", "trace_id", "span_id", "where"})
_ERROR_FIELDS: Final = frozenset({"error", "frames"})
_EVENT = re.compile(r"[a-z][a-z0-9_]{2,80}")
_TOKEN = re.compile(r"[\w.:/-]{0,200}", re.ASCII)
_ROOT: Final = Path(__file__).resolve().parent.parent
_PACKAGES: Final = frozenset(
    {"activities", "api", "audit", "cli", "domain", "outside", "runtime", "stack", "store", "tests", "vault"}
    | {"worker", "workflows"}
)
_CORE_LOGGER: Final = "temporalio.core"


def describe_error(error: BaseException) -> dict[str, Any]:
    """An exception without its message: the types of its chain, newest first, and our frames, innermost last."""
    chain = list(_chain(error))
    frames = [frame for link in reversed(chain) for frame in _own_frames(link.__traceback__)]
    return {"error": [type(link).__name__ for link in chain], "frames": frames[-20:]}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _own_frames(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if (path := _own_path(code.co_filename)) is not None:
            yield f"{path}:{code.co_name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next


def _own_path(filename: str) -> str | None:
    try:
        path = Path(filename).relative_to(_ROOT)
    except ValueError:
        return None
    return path.as_posix() if path.parts[0] in _PACKAGES else None


def _keep_only_allowed(_logger: Any, _method: str, event: EventDict) -> EventDict:
    name = event.get("event")
    kept: EventDict = {"event": name if isinstance(name, str) and _EVENT.fullmatch(name) else "unnamed_event"}
    for field in sorted(event.keys() & (FIELDS | _FRAME_FIELDS | _ERROR_FIELDS) - {"event"}):
        value = event[field]
        allowed = value if field in _FRAME_FIELDS | _ERROR_FIELDS else _plain(value)
        if allowed is not None:
            kept[field] = allowed
    return kept


def _plain(value: Any) -> Any:
    """A value that can only be an id, a code, a count or a time; anything that could be prose is dropped."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, UUID | date):
        return str(value)
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return str(value)
    return None


def _reduce_error(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event.pop("error", None)
    event.pop("frames", None)
    info: ExcInfo | BaseException | bool | None = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(describe_error(error))
    return event


def _name_foreign(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A library's record: its place in the code, and its message when that is a constant of that code."""
    record: logging.LogRecord = event["_record"]
    event["event"] = "library_logged"
    event["where"] = f"{record.module}:{record.funcName}:{record.lineno}"
    if record.name.startswith(_CORE_LOGGER) or _is_constant(record):
        event["message"] = record.msg
    details = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None)
    if isinstance(details, Mapping):
        event.update(_temporal_ids(details))
    return event


def _temporal_ids(details: Mapping[str, Any]) -> dict[str, Any]:
    workflow_id = str(details.get("workflow_id"))
    return {
        "workflow_id": workflow_id,
        "journey_id": journey_id_of(workflow_id),
        "run_id": details.get("workflow_run_id") or details.get("run_id"),
        "activity": details.get("activity_type"),
        "attempt": details.get("attempt"),
    }


def _is_constant(record: logging.LogRecord) -> bool:
    """Whether the message is a literal of the function that logs it, so that it cannot contain data."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to see who is logging
    while frame is not None:
        code = frame.f_code
        if code.co_name == record.funcName and code.co_filename == record.pathname:
            return record.msg in code.co_consts
        frame = frame.f_back
    return False


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        """Say that a line could not be written, without the line; the default prints it with its arguments."""
        sys.stderr.write(f'{{"event": "log_line_lost", "logger": "{record.name}"}}\n')


def configure_logs(level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and the libraries', as one JSON object to stderr (or ``stream``)."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, *shared, _name_foreign],
        processors=[_reduce_error, _keep_only_allowed, structlog.processors.JSONRenderer()],
        use_get_message=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    _adopt_libraries()
    sys.excepthook = _log_crash
    threading.excepthook = lambda args: _log_crash(args.exc_type, args.exc_value, args.exc_traceback)


def _adopt_libraries() -> None:
    """Libraries that bring handlers of their own, or write data into their messages, are told to stop."""
    from temporalio import activity, workflow  # noqa: PLC0415 - costs 0.2 s, and a migration needs no Temporal

    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = name != "uvicorn.access"  # it would write URLs
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    logging.captureWarnings(capture=True)


def _log_crash(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit) or error is None:
        return
    structlog.get_logger("alliance").critical("process_crashed", exc_info=(kind, error, traceback))
