"""Earlier builds' decisions are decided again by this one; a build that would not is caught, by name and place.

No server runs here: a golden is a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow

from audit.histories import appends, opened
from audit.strict import REPLAY_DIFFERS, Replayed, StrictReplayer
from domain import journey as rules
from domain.codes import Code
from domain.envelope import Purpose
from domain.journey.messages import refuse
from domain.journey.observations import RecordMeasurements
from runtime.names import WRITE_EHR_RECORDS
from tests.replay.clinic import GoldenKeys
from tests.replay.goldens import Golden, goldens
from vault.errors import SealBrokenError
from workflows.journey import JourneyWorkflow

ALL = goldens()
DECIDERS: dict[Any, Any] = rules._DECIDERS


@pytest.fixture(scope="module", autouse=True)
async def quiet_end() -> AsyncIterator[None]:
    """Leave the SDK's engine a moment before the loop may close (temporalio/sdk-python#300)."""
    yield
    await asyncio.sleep(0.3)


async def replayed(golden: Golden) -> list[Replayed]:
    """Every run of a golden, replayed by this build as it is now."""
    keys = GoldenKeys()
    await keys.key_for_journey(golden.journey_id)
    replayer = StrictReplayer([JourneyWorkflow], keys, golden.namespace)
    return [await replayer.replay(run, golden.journey_id) for run in golden.runs]


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
async def test_a_golden_replays_strictly(golden: Golden) -> None:
    """Every command of every run is what it was, payload by payload."""
    runs = await replayed(golden)

    assert [[]] * len(runs) == [run.findings for run in runs]
    assert [None] * len(runs) == [run.sdk_error for run in runs]
    assert all(run.compared > 0 for run in runs)


def test_a_golden_holds_a_whole_story() -> None:
    """Among the goldens: a hand-over to a new run, a failed attempt, a child workflow, a signal out, a refusal."""
    kinds = {event.WhichOneof("attributes") for golden in ALL for run in golden.runs for event in run.events}
    refusals = [
        event
        for golden in ALL
        for run in golden.runs
        for event in run.events
        if event.workflow_execution_update_completed_event_attributes.outcome.HasField("failure")
    ]

    assert {
        "workflow_execution_continued_as_new_event_attributes",
        "activity_task_failed_event_attributes",
        "start_child_workflow_execution_initiated_event_attributes",
        "signal_external_workflow_execution_initiated_event_attributes",
    } <= kinds
    assert refusals


def test_goldens_are_sealed_and_nameless() -> None:
    """No golden holds a word of its invented patient, or the name of a machine, in clear."""
    for golden in ALL:
        for run in golden.runs:
            encoded = b"".join(event.SerializeToString() for event in run.events)

            assert b"Trillian" not in encoded
            assert {"", "golden"} >= {event.workflow_task_started_event_attributes.identity for event in run.events}


async def test_a_golden_opens_only_with_its_keys() -> None:
    """One changed byte in one payload of a history is refused, not replayed."""
    golden = ALL[0]
    keys = GoldenKeys()
    await keys.key_for_journey(golden.journey_id)
    run = golden.runs[0]
    payload = run.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    sealed = payload.data
    try:
        payload.data = sealed[:-1] + bytes([sealed[-1] ^ 1])
        with pytest.raises(SealBrokenError):
            await StrictReplayer([JourneyWorkflow], keys, golden.namespace).replay(run, golden.journey_id)
    finally:
        payload.data = sealed


# --- mutants ------------------------------------------------------------------------------------------------------


def skip_search_attributes(patch: pytest.MonkeyPatch) -> None:
    """The workflow forgets to show itself."""
    patch.setattr(workflow, "upsert_search_attributes", lambda _: None)


def append_another_purpose(patch: pytest.MonkeyPatch) -> None:
    """The workflow records another purpose than the command's."""
    record = rules.record

    def mutated(state: Any, events: Any, ctx: Any, source: Any) -> Any:
        return tuple(
            each.model_copy(update={"header": each.header.model_copy(update={"purpose": Purpose.EMERGENCY_TREATMENT})})
            for each in record(state, events, ctx, source)
        )

    patch.setattr(rules, "record", mutated)


def wait_longer(patch: pytest.MonkeyPatch) -> None:
    """Every timer of the workflow is a second longer."""
    wait = workflow.wait_condition

    async def mutated(fn: Callable[[], bool], *, timeout: timedelta | None = None, **others: Any) -> None:  # noqa: ASYNC109
        await wait(fn, timeout=timeout + timedelta(seconds=1) if timeout is not None else None, **others)

    patch.setattr(workflow, "wait_condition", mutated)


def try_shorter(patch: pytest.MonkeyPatch) -> None:
    """Every attempt at an effect gets a shorter time."""
    execute = workflow.execute_activity

    def mutated(name: Any, *args: Any, start_to_close_timeout: timedelta, **others: Any) -> Any:
        shorter = start_to_close_timeout - timedelta(seconds=1) if name == WRITE_EHR_RECORDS else start_to_close_timeout
        return execute(name, *args, start_to_close_timeout=shorter, **others)

    patch.setattr(workflow, "execute_activity", mutated)


def decide_another_weight(patch: pytest.MonkeyPatch) -> None:
    """A rule changes what it was told: one kilogram more, from which a dose would be computed."""
    decide = DECIDERS[RecordMeasurements]

    def mutated(journey: Any, command: Any, ctx: Any) -> Any:
        return decide(journey, command.model_copy(update={"weight_kg": command.weight_kg + 1}), ctx)

    patch.setitem(DECIDERS, RecordMeasurements, mutated)


def decide_to_refuse(patch: pytest.MonkeyPatch) -> None:
    """A rule refuses what was accepted."""
    patch.setitem(DECIDERS, RecordMeasurements, lambda *_: refuse(Code.WRONG_STAGE, "not now"))


@dataclass(frozen=True)
class Mutant:
    """A changed build: whether the SDK's own replayer notices, and what strict replay says where."""

    change: Callable[[pytest.MonkeyPatch], None]
    sdk_notices: bool
    says: str


MUTANTS = [
    Mutant(skip_search_attributes, sdk_notices=True, says="search attributes"),
    Mutant(append_another_purpose, sdk_notices=False, says="records[0].header.purpose"),
    Mutant(wait_longer, sdk_notices=False, says="timer differs in duration"),
    Mutant(try_shorter, sdk_notices=False, says="activity write_ehr_records differs in start_to_close_timeout"),
    Mutant(decide_another_weight, sdk_notices=False, says="records[0].content.data.weight_kg"),
    Mutant(decide_to_refuse, sdk_notices=True, says="activity append_events"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.change.__name__)
async def test_a_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict replay catches every changed build and says what differs; the SDK's replay alone misses most of them."""
    mutant.change(monkeypatch)
    runs = await replayed(ALL[0])
    findings = [finding for run in runs for finding in run.findings]

    assert {REPLAY_DIFFERS} == {finding.code for finding in findings}
    assert any(mutant.says in finding.message for finding in findings)
    assert mutant.sdk_notices == any(run.sdk_error is not None for run in runs)


async def test_a_changed_decision_names_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding's sequence is that of the very event that would be another one now."""
    golden, keys = ALL[0], GoldenKeys()
    await keys.key_for_journey(golden.journey_id)
    opened_runs = [await opened(run, keys, golden.namespace) for run in golden.runs]
    expected = {
        record.header.sequence
        for run in opened_runs
        for append in appends(run)
        for record in append.request.records
        if record.header.type == "measurements_recorded.v1"
    }
    decide_another_weight(monkeypatch)
    runs = await replayed(golden)

    assert 1 == len(expected)
    assert expected == {finding.sequence for run in runs for finding in run.findings}


async def test_findings_quote_no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding names fields and places, never a value: who reads it need not be allowed to read the chart."""
    decide_another_weight(monkeypatch)
    messages = [finding.message for run in await replayed(ALL[0]) for finding in run.findings]

    assert messages
    assert not any(
        "68" in message.split("differs in")[-1] or "69" in message.split("differs in")[-1] for message in messages
    )
