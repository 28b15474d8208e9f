"""What a workflow had asked for, as steps: the events of a history that its commands became."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.api.history.v1 import HistoryEvent

from audit.steps import (
    TIMER_CANCELLED,
    Facts,
    Step,
    activity_retry,
    bytes_of,
    markers_of,
    nanoseconds,
    plain_attributes,
    plain_failure,
    plain_headers,
    plain_list,
    plain_map,
    summary_of,
)

Builder = Callable[[Any], Facts]
_SUFFIX = "_event_attributes"

NOT_ASKED_FOR = frozenset(
    {
        "workflow_execution_started",
        "workflow_task_scheduled",
        "workflow_task_started",
        "workflow_task_completed",
        "workflow_task_timed_out",
        "workflow_task_failed",
        "activity_task_started",
        "activity_task_completed",
        "activity_task_failed",
        "activity_task_timed_out",
        "activity_task_canceled",
        "timer_fired",
        "workflow_execution_signaled",
        "workflow_execution_cancel_requested",
        "workflow_execution_terminated",
        "workflow_execution_timed_out",
        "workflow_execution_update_admitted",
        "workflow_execution_options_updated",
        "workflow_execution_time_skipping_transitioned",
        "workflow_execution_paused",
        "workflow_execution_unpaused",
        "start_child_workflow_execution_failed",
        "child_workflow_execution_started",
        "child_workflow_execution_completed",
        "child_workflow_execution_failed",
        "child_workflow_execution_canceled",
        "child_workflow_execution_timed_out",
        "child_workflow_execution_terminated",
        "signal_external_workflow_execution_failed",
        "external_workflow_execution_signaled",
    }
)
"""Events that the world, the server or a person made; every other event came from a command."""


def kind_of(event: HistoryEvent) -> str:
    """Name the kind of an event, such as ``activity_task_scheduled``."""
    return (event.WhichOneof("attributes") or "").removesuffix(_SUFFIX)


def event_step(event: HistoryEvent) -> Step | None:
    """The step that an event records; None for one of a kind that nobody has taught us. Ask ``NOT_ASKED_FOR`` first."""
    variant = kind_of(event)
    if variant not in _BUILDERS:
        return None
    kind, build = _BUILDERS[variant]
    facts = build(getattr(event, variant + _SUFFIX))
    if kind == TIMER_CANCELLED or kind.startswith("update"):
        return Step(kind, facts)
    return Step(kind, {**facts, **summary_of(event), "caused_by": markers_of(event)})


def _activity(it: Any) -> Facts:
    timeouts = ("schedule_to_close", "schedule_to_start", "start_to_close", "heartbeat")
    return {
        "id": it.activity_id,
        "type": it.activity_type.name,
        "task_queue": it.task_queue.name,
        "args": plain_list(it.input.payloads),
        "headers": plain_headers(it.header.fields),
        **{f"{name}_timeout": nanoseconds(getattr(it, f"{name}_timeout")) for name in timeouts},
        "retry_policy": activity_retry(it.retry_policy),
        "priority": bytes_of(it.priority),
    }


def _timer(it: Any) -> Facts:
    return {"id": it.timer_id, "duration": nanoseconds(it.start_to_fire_timeout)}


def _cancel_timer(it: Any) -> Facts:
    return {"id": it.timer_id}


def _attributes(it: Any) -> Facts:
    return {"attributes": plain_attributes(it.search_attributes.indexed_fields)}


def _memo(it: Any) -> Facts:
    return {"memo": plain_map(it.upserted_memo.fields)}


def _child(it: Any) -> Facts:
    return {
        "namespace": it.namespace,
        "workflow_id": it.workflow_id,
        "type": it.workflow_type.name,
        "task_queue": it.task_queue.name,
        "args": plain_list(it.input.payloads),
        "headers": plain_headers(it.header.fields),
        "memo": plain_map(it.memo.fields),
        "attributes": plain_attributes(it.search_attributes.indexed_fields),
        "execution_timeout": nanoseconds(it.workflow_execution_timeout),
        "run_timeout": nanoseconds(it.workflow_run_timeout),
        "task_timeout": nanoseconds(it.workflow_task_timeout),
        "parent_close_policy": it.parent_close_policy,
        "id_reuse_policy": it.workflow_id_reuse_policy,
        "retry_policy": bytes_of(it.retry_policy),
        "cron": it.cron_schedule,
        "priority": bytes_of(it.priority),
    }


def _signal(it: Any) -> Facts:
    return {
        "namespace": it.namespace,
        "workflow_id": it.workflow_execution.workflow_id,
        "run_id": it.workflow_execution.run_id,
        "child_only": it.child_workflow_only,
        "name": it.signal_name,
        "args": plain_list(it.input.payloads),
        "headers": plain_headers(it.header.fields),
    }


def _next_run(it: Any) -> Facts:
    # Search attributes are carried over by the SDK from the upserts, which are compared themselves.
    return {
        "type": it.workflow_type.name,
        "task_queue": it.task_queue.name,
        "args": plain_list(it.input.payloads),
        "headers": plain_headers(it.header.fields),
        "memo": plain_map(it.memo.fields),
        "run_timeout": nanoseconds(it.workflow_run_timeout),
        "task_timeout": nanoseconds(it.workflow_task_timeout),
        "backoff": nanoseconds(it.backoff_start_interval),
        "versioning": it.initial_versioning_behavior,
    }


def _completed(it: Any) -> Facts:
    return {"result": plain_list(it.result.payloads)[0] if it.result.payloads else None}


def _failed(it: Any) -> Facts:
    return {"failure": plain_failure(it.failure)}


def _update_accepted(it: Any) -> Facts:
    return {"id": it.protocol_instance_id}


def _update_answered(it: Any) -> Facts:
    succeeded = it.outcome.WhichOneof("value") == "success"
    return {
        "id": it.meta.update_id,
        "result": plain_list(it.outcome.success.payloads) if succeeded else None,
        "failure": None if succeeded else plain_failure(it.outcome.failure),
    }


_BUILDERS: dict[str, tuple[str, Builder]] = {
    "activity_task_scheduled": ("activity", _activity),
    "timer_started": ("timer", _timer),
    "timer_canceled": (TIMER_CANCELLED, _cancel_timer),
    "upsert_workflow_search_attributes": ("search attributes", _attributes),
    "workflow_properties_modified": ("memo", _memo),
    "start_child_workflow_execution_initiated": ("child workflow", _child),
    "signal_external_workflow_execution_initiated": ("signal", _signal),
    "workflow_execution_continued_as_new": ("continue as new", _next_run),
    "workflow_execution_completed": ("completed", _completed),
    "workflow_execution_failed": ("failed", _failed),
    "workflow_execution_update_accepted": ("update accepted", _update_accepted),
    "workflow_execution_update_completed": ("update answered", _update_answered),
}
