"""Strict replay compares the headers that a decision may depend on; a trace is none of them."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Header, Payload
from temporalio.api.history.v1 import (
    ActivityTaskScheduledEventAttributes,
    HistoryEvent,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.bridge.proto.workflow_commands import ScheduleActivity, StartChildWorkflowExecution, WorkflowCommand

from audit.commands import command_step
from audit.recorded import event_step
from audit.steps import Defaults

TRACE = "_tracer-data"


@pytest.mark.parametrize(("header", "same"), [(TRACE, True), ("tenant", False), (f"{TRACE}-2", False)])
@pytest.mark.parametrize("kind", ["activity", "child workflow"])
def test_only_the_trace_may_differ(kind: str, header: str, *, same: bool) -> None:
    """An update sent twice under one id has two traces, of which replay may see the other; nothing else is let pass."""
    recorded, asked = {header: Payload(data=b"first")}, {header: Payload(data=b"second")}
    if kind == "activity":
        event = HistoryEvent(
            activity_task_scheduled_event_attributes=ActivityTaskScheduledEventAttributes(
                header=Header(fields=recorded)
            )
        )
        command = WorkflowCommand(schedule_activity=ScheduleActivity(headers=asked))
    else:
        event = HistoryEvent(
            start_child_workflow_execution_initiated_event_attributes=(
                StartChildWorkflowExecutionInitiatedEventAttributes(header=Header(fields=recorded))
            )
        )
        command = WorkflowCommand(start_child_workflow_execution=StartChildWorkflowExecution(headers=asked))

    before = event_step(event)
    after = command_step(command, Defaults.of("default", WorkflowExecutionStartedEventAttributes()))

    assert before is not None
    assert after is not None
    assert (kind, kind) == (before.kind, after.kind)
    assert same is (before.facts["headers"] == after.facts["headers"])


def test_a_next_run_that_keeps_its_headers_is_the_same() -> None:
    """What the first event of a run had for headers is compared without its trace, too."""
    started = WorkflowExecutionStartedEventAttributes(
        header=Header(fields={TRACE: Payload(data=b"1"), "tenant": Payload(data=b"2")})
    )

    assert ["tenant"] == list(Defaults.of("default", started).headers)
