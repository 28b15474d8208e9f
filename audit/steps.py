"""One form for what a workflow asked for, whether it stands in a history or comes out of a replay.

Both sides are brought to plain facts, with what the server or the SDK fills in filled in, so that everything which
can stand in a history is compared and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes

from runtime.tracing import HEADER as TRACE_HEADER

Facts: TypeAlias = dict[str, Any]

TIMER_CANCELLED = "timer cancelled"
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Step:
    """One thing that a workflow asked for. ``kind`` must agree before ``facts`` are looked at."""

    kind: str
    facts: Facts


@dataclass(frozen=True)
class Defaults:
    """What holds in a run for whatever a command leaves open: taken from the run's first event."""

    namespace: str
    workflow_type: str
    task_queue: str
    run_timeout: int
    task_timeout: int
    headers: Facts
    memo: Facts

    @classmethod
    def of(cls, namespace: str, started: WorkflowExecutionStartedEventAttributes) -> Defaults:
        return cls(
            namespace=namespace,
            workflow_type=started.workflow_type.name,
            task_queue=started.task_queue.name,
            run_timeout=nanoseconds(started.workflow_run_timeout),
            task_timeout=nanoseconds(started.workflow_task_timeout),
            headers=plain_headers(started.header.fields),
            memo=plain_map(started.memo.fields),
        )


def nanoseconds(duration: Duration) -> int:
    """A duration as a whole number; an unset one is 0, as the server has it."""
    return duration.seconds * _SECOND + duration.nanos


def plain(payload: Payload) -> Facts:
    """A payload as facts: all its metadata, and its bytes."""
    return {"metadata": dict(payload.metadata), "data": payload.data}


def plain_list(payloads: Iterable[Payload]) -> list[Facts]:
    """The same, of several."""
    return [plain(payload) for payload in payloads]


def plain_map(payloads: Mapping[str, Payload]) -> Facts:
    """The same, by name."""
    return {name: plain(payload) for name, payload in payloads.items()}


def plain_headers(payloads: Mapping[str, Payload]) -> Facts:
    """Headers, without the trace: the same update sent twice brings two, and no decision depends on either."""
    return {name: plain(payload) for name, payload in payloads.items() if name != TRACE_HEADER}


def plain_attributes(payloads: Mapping[str, Payload]) -> Facts:
    """Search attributes, without the type that the server adds from the namespace's own list."""
    facts = plain_map(payloads)
    for fact in facts.values():
        fact["metadata"].pop("type", None)
    return facts


def summary_of(message: Any) -> Facts:
    """What people read of it in the UI: a command's or an event's user metadata."""
    metadata = message.user_metadata
    return {
        "summary": plain(metadata.summary) if metadata.HasField("summary") else None,
        "details": plain(metadata.details) if metadata.HasField("details") else None,
    }


def markers_of(message: Any) -> list[bytes]:
    """Which update or signal it came from."""
    return sorted(marker.SerializeToString(deterministic=True) for marker in message.event_group_markers)


def bytes_of(message: Message) -> bytes:
    """A small message whole; an unset one is empty."""
    return message.SerializeToString(deterministic=True)


def activity_retry(policy: RetryPolicy) -> Facts:
    """A retry policy with the server's defaults: 1 s, doubling, at most a hundred times the first interval."""
    first = nanoseconds(policy.initial_interval) or _SECOND
    return {
        "initial_interval": first,
        "backoff_coefficient": policy.backoff_coefficient or 2.0,
        "maximum_interval": nanoseconds(policy.maximum_interval) or 100 * first,
        "maximum_attempts": policy.maximum_attempts,
        "non_retryable_error_types": list(policy.non_retryable_error_types),
    }


def activity_timeouts(command: Any, run_timeout: int) -> Facts:
    """An activity's timeouts as the server completes them: what is unset is bounded by what is set."""
    close = nanoseconds(command.schedule_to_close_timeout)
    queued = nanoseconds(command.schedule_to_start_timeout)
    running = nanoseconds(command.start_to_close_timeout)
    limit = close or run_timeout
    return {
        "schedule_to_close_timeout": limit,
        "schedule_to_start_timeout": _bounded(queued, limit),
        "start_to_close_timeout": _bounded(running, limit),
        "heartbeat_timeout": nanoseconds(command.heartbeat_timeout),
    }


def _bounded(timeout: int, limit: int) -> int:
    """The smaller of two timeouts, where 0 means none."""
    return min(filter(None, (timeout, limit)), default=0)


def plain_failure(failure: Failure) -> Facts | None:
    """A failure without its stack traces: those name files and lines, which no decision depends on."""
    if not failure.ByteSize():
        return None
    clear = Failure()
    clear.CopyFrom(failure)
    encoded = clear.encoded_attributes.data
    cause = plain_failure(clear.cause) if clear.HasField("cause") else None
    for name in ("stack_trace", "encoded_attributes", "cause"):
        clear.ClearField(name)
    message = json.loads(encoded).get("message") if encoded else None
    return {"failure": bytes_of(clear), "message": message, "cause": cause}


def first_difference(expected: Any, actual: Any, path: str = "") -> str | None:
    """Where two plain values first differ, as a path of field names; None when they are the same.

    Never a value: what differs may be clinical.
    """
    if type(expected) is type(actual) and expected == actual:
        return None
    if isinstance(expected, bytes) and isinstance(actual, bytes):
        return _inside_json(expected, actual, path)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name in (*expected, *(actual.keys() - expected.keys())):
            found = first_difference(expected.get(name), actual.get(name), f"{path}.{name}" if path else str(name))
            if found:
                return found
        return f"{path}: fields"  # the same values, one of them spelled out as null
    if _are_lists(expected, actual) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return next(filter(None, (first_difference(e, a, f"{path}[{i}]") for i, (e, a) in pairs)), None)
    return path


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, Sequence) and not isinstance(value, str) for value in values)


def _inside_json(expected: bytes, actual: bytes, path: str) -> str:
    try:
        return first_difference(json.loads(expected), json.loads(actual), path) or f"{path} (spelling)"
    except ValueError:
        return path
