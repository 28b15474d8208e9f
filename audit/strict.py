"""Strict replay: whether this build would have asked for the very same things (architecture D13).

The SDK's replayer compares the order and the kinds of commands. Arguments, timeouts, timer lengths, summaries, answers
and results it takes as given, so a changed decision replays as if nothing were. Here every command that the workflow
hands to the SDK is recorded before it is sealed, and compared with the history, payload by payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from audit.commands import command_step
from audit.histories import Run, opened
from audit.recorded import NOT_ASKED_FOR, event_step, kind_of
from audit.report import NOT_REPLAYABLE, Finding
from audit.steps import Defaults, Step, first_difference
from domain.envelope import AppendRequest
from runtime.names import APPEND_EVENTS
from runtime.telemetry import temporal_runtime
from runtime.temporal import alliance_plugin
from vault.keys import KeySource

REPLAY_DIFFERS = "REPLAY_DIFFERS"
_ENDINGS = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)
_RECORD = re.compile(r"args\[0\]\.data\.records\[(\d+)\]")


class Recorded(NamedTuple):
    """A command, and the event that started the workflow task in which it was issued."""

    task_started_id: int
    command: WorkflowCommand


class RecordingRunner(WorkflowRunner):
    """Runs workflows as the SDK does, and keeps a copy of all they ask for. One history at a time."""

    def __init__(self, inner: WorkflowRunner | None = None) -> None:
        self._inner = inner or UnsandboxedWorkflowRunner()
        self.task_queue = ""
        self.commands: list[Recorded] = []

    def prepare_workflow(self, defn: Any) -> None:
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        # A replayer invents a task queue; activities without one of their own go to the workflow's.
        info = replace(det.info, task_queue=self.task_queue)
        self.commands = []
        return _RecordingInstance(self._inner.create_instance(replace(det, info=info)), self.commands)


class _RecordingInstance(WorkflowInstance):
    def __init__(self, inner: WorkflowInstance, commands: list[Recorded]) -> None:
        self._inner = inner
        self._commands = commands

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._inner.activate(act)
        for command in completion.successful.commands:
            copy = WorkflowCommand()
            copy.CopyFrom(command)  # the original is sealed in place
            self._commands.append(Recorded(act.history_length, copy))
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> workflow.Info:
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()


@dataclass
class Replayed:
    """What replaying one run came to. ``sdk_error`` is what the SDK's own replayer says, which is much less."""

    run_id: str
    events: int
    compared: int = 0
    sdk_error: Exception | None = None
    findings: list[Finding] = field(default_factory=list)


class StrictReplayer:
    """Replays histories with the one plugin (D14), outside the sandbox, and compares everything."""

    def __init__(self, workflows: Sequence[type], keys: KeySource, namespace: str) -> None:
        self._keys = keys
        self._namespace = namespace
        self._runner = RecordingRunner()
        plugin = alliance_plugin(keys=keys, workflows=workflows, runner=self._runner)
        # Named so that the SDK does not hash every loaded module to find a name.
        self._replayer = Replayer(
            workflows=[], plugins=[plugin], namespace=namespace, build_id="audit", runtime=temporal_runtime(None)
        )

    async def replay(self, history: WorkflowHistory, journey_id: UUID) -> Replayed:
        """Replay one run. Raises VaultError when its payloads do not open."""
        run = await opened(history, self._keys, self._namespace)
        started = run.events[0].workflow_execution_started_event_attributes
        self._runner.task_queue, self._runner.commands = started.task_queue.name, []
        result = await self._replayer.replay_workflow(history, raise_on_replay_failure=False)
        replayed = Replayed(history.run_id, len(run.events), sdk_error=result.replay_failure)
        defaults = Defaults.of(self._namespace, started)
        _compare(run, self._runner.commands, defaults, journey_id, replayed)
        if result.replay_failure is not None and not replayed.findings:
            replayed.findings.append(_stopped(journey_id, run, result.replay_failure))
        return replayed


def _compare(run: Run, recorded: list[Recorded], defaults: Defaults, journey_id: UUID, replayed: Replayed) -> None:
    """Walk both sides in order, up to the first difference: what follows it would only repeat it."""
    asked = _kept(recorded, _last_task(run))
    for event in run.events:
        if kind_of(event) in NOT_ASKED_FOR:
            continue
        expected = event_step(event)
        if expected is None:
            message = f"{_place(run, event.event_id)}: no audit can compare a {kind_of(event)} yet"
            replayed.findings.append(Finding(NOT_REPLAYABLE, journey_id, None, message))
            return
        command = next(asked, None)
        actual = command_step(command, defaults) if command is not None else None
        if difference := _difference(expected, actual):
            message = f"{_place(run, event.event_id)}: {difference}"
            replayed.findings.append(Finding(REPLAY_DIFFERS, journey_id, _sequence(expected, difference), message))
            return
        replayed.compared += 1
    if (extra := next(asked, None)) is not None:
        message = f"{_place(run, len(run.events))}: replay goes on to ask for {extra.WhichOneof('variant')}"
        replayed.findings.append(Finding(REPLAY_DIFFERS, journey_id, None, message))


def _last_task(run: Run) -> int:
    """The last workflow task whose commands the server has taken, by the event that started it."""
    done = (e.workflow_task_completed_event_attributes.started_event_id for e in run.events)
    return max(done, default=0)


def _kept(recorded: list[Recorded], last_task: int) -> Iterator[WorkflowCommand]:
    """The commands as the SDK sends them, up to the last workflow task that the server has taken.

    A timer cancelled in the task that started it is never sent. What ends the run is sent last, and once.
    """
    sent = [each for each in recorded if each.task_started_id <= last_task]
    started = {(task, c.start_timer.seq) for task, c in sent if c.HasField("start_timer")}
    cancelled = {(task, c.cancel_timer.seq) for task, c in sent if c.HasField("cancel_timer")}
    unsent = started & cancelled
    endings = []
    for task, command in sent:
        variant = command.WhichOneof("variant")
        if variant in {"start_timer", "cancel_timer"} and (task, getattr(command, variant).seq) in unsent:
            continue
        if variant in _ENDINGS:
            endings.append(command)
        else:
            yield command
    yield from endings[:1]


def _difference(expected: Step, actual: Step | None) -> str | None:
    name = _named(expected)
    if actual is None:
        return f"the history has {name}, replay asks for nothing comparable"
    if actual.kind != expected.kind:
        return f"the history has {name}, replay asks for {_named(actual)}"
    found = first_difference(expected.facts, actual.facts)
    return f"{name} differs in {found}" if found else None


def _named(step: Step) -> str:
    return f"{step.kind} {step.facts.get('type', '')}".strip()


def _sequence(expected: Step, difference: str) -> int | None:
    """The event that an append was to write, as near as the difference tells."""
    if expected.facts.get("type") != APPEND_EVENTS:
        return None
    records = _records(expected)
    at = _RECORD.search(difference)
    return records[int(at.group(1)) if at and int(at.group(1)) < len(records) else 0]


def _records(expected: Step) -> list[int]:
    request = AppendRequest.model_validate_json(expected.facts["args"][0]["data"])
    return [record.header.sequence for record in request.records]


def _stopped(journey_id: UUID, run: Run, error: Exception) -> Finding:
    # The SDK's own words name ids and types; the words of an exception in workflow code could be clinical.
    reason = str(error) if isinstance(error, workflow.NondeterminismError) else type(error).__name__
    return Finding(REPLAY_DIFFERS, journey_id, None, f"run {run.run_id}: the SDK's replay stopped: {reason}")


def _place(run: Run, event_id: int) -> str:
    return f"run {run.run_id}, history event {event_id}"
