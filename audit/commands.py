"""What a replayed workflow asks for, as steps: the commands it hands to the SDK, before anything is sealed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from audit.steps import (
    TIMER_CANCELLED,
    Defaults,
    Facts,
    Step,
    activity_retry,
    activity_timeouts,
    bytes_of,
    markers_of,
    nanoseconds,
    plain,
    plain_attributes,
    plain_failure,
    plain_headers,
    plain_list,
    plain_map,
    summary_of,
)

Builder = Callable[[Any, Defaults], Facts]


def command_step(command: WorkflowCommand, defaults: Defaults) -> Step | None:
    """The step of a command; None for one of a kind that no workflow of ours issues and nobody has taught us."""
    variant = command.WhichOneof("variant") or ""
    if variant == "update_response":
        return _update(command)
    if variant not in _BUILDERS:
        return None
    kind, build = _BUILDERS[variant]
    facts = build(getattr(command, variant), defaults)
    if kind == TIMER_CANCELLED:  # the SDK repeats the timer's own summary there
        return Step(kind, facts)
    return Step(kind, {**facts, **summary_of(command), "caused_by": markers_of(command)})


def _activity(it: Any, defaults: Defaults) -> Facts:
    return {
        "id": it.activity_id,
        "type": it.activity_type,
        "task_queue": it.task_queue,
        "args": plain_list(it.arguments),
        "headers": plain_headers(it.headers),
        **activity_timeouts(it, defaults.run_timeout),
        "retry_policy": activity_retry(it.retry_policy),
        "priority": bytes_of(it.priority),
    }


def _timer(it: Any, _: Defaults) -> Facts:
    return {"id": str(it.seq), "duration": nanoseconds(it.start_to_fire_timeout)}


def _cancel_timer(it: Any, _: Defaults) -> Facts:
    return {"id": str(it.seq)}


def _attributes(it: Any, _: Defaults) -> Facts:
    return {"attributes": plain_attributes(it.search_attributes.indexed_fields)}


def _memo(it: Any, _: Defaults) -> Facts:
    return {"memo": plain_map(it.upserted_memo.fields)}


def _child(it: Any, defaults: Defaults) -> Facts:
    return {
        "namespace": it.namespace,
        "workflow_id": it.workflow_id,
        "type": it.workflow_type,
        "task_queue": it.task_queue or defaults.task_queue,
        "args": plain_list(it.input),
        "headers": plain_headers(it.headers),
        "memo": plain_map(it.memo),
        "attributes": plain_attributes(it.search_attributes.indexed_fields),
        "execution_timeout": nanoseconds(it.workflow_execution_timeout),
        "run_timeout": nanoseconds(it.workflow_run_timeout),
        "task_timeout": nanoseconds(it.workflow_task_timeout) or defaults.task_timeout,
        "parent_close_policy": it.parent_close_policy,
        "id_reuse_policy": it.workflow_id_reuse_policy,
        "retry_policy": bytes_of(it.retry_policy),
        "cron": it.cron_schedule,
        "priority": bytes_of(it.priority),
    }


def _signal(it: Any, defaults: Defaults) -> Facts:
    return {
        "namespace": it.workflow_execution.namespace or defaults.namespace,
        "workflow_id": it.child_workflow_id or it.workflow_execution.workflow_id,
        "run_id": it.workflow_execution.run_id,
        "child_only": bool(it.child_workflow_id),
        "name": it.signal_name,
        "args": plain_list(it.args),
        "headers": plain_headers(it.headers),
    }


def _next_run(it: Any, defaults: Defaults) -> Facts:
    return {
        "type": it.workflow_type or defaults.workflow_type,
        "task_queue": it.task_queue or defaults.task_queue,
        "args": plain_list(it.arguments),
        "headers": plain_headers(it.headers) or defaults.headers,
        "memo": plain_map(it.memo) or defaults.memo,
        "run_timeout": nanoseconds(it.workflow_run_timeout) or defaults.run_timeout,
        "task_timeout": nanoseconds(it.workflow_task_timeout) or defaults.task_timeout,
        "backoff": nanoseconds(it.backoff_start_interval),
        "versioning": it.initial_versioning_behavior,
    }


def _completed(it: Any, _: Defaults) -> Facts:
    return {"result": plain(it.result)}


def _failed(it: Any, _: Defaults) -> Facts:
    return {"failure": plain_failure(it.failure)}


def _update(command: WorkflowCommand) -> Step:
    it = command.update_response
    kind = it.WhichOneof("response")
    if kind == "accepted":
        return Step("update accepted", {"id": it.protocol_instance_id})
    succeeded = kind == "completed"
    facts = {
        "id": it.protocol_instance_id,
        "result": plain_list([it.completed]) if succeeded else None,
        "failure": None if succeeded else plain_failure(it.rejected),
    }
    return Step("update answered", facts)


_BUILDERS: dict[str, tuple[str, Builder]] = {
    "schedule_activity": ("activity", _activity),
    "start_timer": ("timer", _timer),
    "cancel_timer": (TIMER_CANCELLED, _cancel_timer),
    "upsert_workflow_search_attributes": ("search attributes", _attributes),
    "modify_workflow_properties": ("memo", _memo),
    "start_child_workflow_execution": ("child workflow", _child),
    "signal_external_workflow_execution": ("signal", _signal),
    "continue_as_new_workflow_execution": ("continue as new", _next_run),
    "complete_workflow_execution": ("completed", _completed),
    "fail_workflow_execution": ("failed", _failed),
}
