"""Handing over: continue-as-new between any two commands changes nothing (I5), and a closed journey ends (D7)."""

from __future__ import annotations

import json
import re
from uuid import UUID, uuid4, uuid5

import pytest

from domain.envelope import CommandEnvelope, Role
from domain.journey.course import CloseJourney
from domain.journey.onboarding import ActivatePortal
from domain.journey.referral import AcceptReferral, AcknowledgeReferral, AssignPrescriber
from runtime.names import WRITE_EHR_RECORDS
from tests.domain import v1
from tests.domain.stages import PRESCRIBER, REFERRAL, form
from tests.workflows.asking import ask
from tests.workflows.clinic import PATIENT_ID, Clinic
from tests.workflows.live import Live
from tests.workflows.test_commands import measured
from workflows import handover
from workflows.contracts import JourneyStart
from workflows.journey import NUDGE

FIRST_TASK_EVENTS = 3
"""Started, scheduled, started: what every run has before it has done anything."""
STORY = UUID("6b2f7f2e-0000-5000-8000-000000000002")


async def test_a_hand_over_between_any_two_commands_changes_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same story told in one run and in many: same events, same receipts; and what is handed over is the fold."""
    whole = await told(clinic)
    answers = [await whole.again(command) for command in commands()]
    await whole.handle.terminate("told")
    monkeypatch.setattr(handover, "HISTORY_EVENTS_MAX", FIRST_TASK_EVENTS)
    cut = await told(clinic)

    assert len(await whole.run_ids()) + 4 < len(await cut.run_ids())
    assert anonymous(whole) == anonymous(cut)
    snapshot = await cut.handed_over()
    assert cut.state == snapshot.state
    assert cut.stream.head == snapshot.chain_head
    assert {one.command_id for one in commands()} <= {receipt.command_id for receipt in snapshot.receipts}
    for command, answer in zip(commands(), answers, strict=True):
        assert answer.model_copy(update={"journey_id": cut.id}) == await cut.again(command)


async def test_a_phase_exit_begins_a_new_run(clinic: Clinic) -> None:
    """Opening a journey is no phase exit; leaving a stage is."""
    live = await clinic.opened()
    await live.settled()
    await live.send(AcknowledgeReferral())
    assert 1 == len(await live.run_ids())

    await live.send(AcceptReferral())

    await live.handed_over()
    assert 2 == len(await live.run_ids())


async def test_a_nudge_changes_nothing(clinic: Clinic) -> None:
    """It only wakes the run, to see whether a newer build waits."""
    live = await clinic.opened()
    await live.settled()
    before = list(live.stream.types)

    await live.handle.signal(NUDGE)
    await live.send(AcknowledgeReferral())

    assert [*before, "referral_acknowledged.v1"] == live.stream.types


async def test_a_closed_journey_ends_once_nothing_is_owed_to_the_outside(clinic: Clinic) -> None:
    """Closing does not cut off what is still to be sent; then the workflow completes with the journey's version."""
    story = v1.completed().fork()
    story.outside()
    live = await clinic.resumed(story)
    gate = clinic.outside.hold(live.id, WRITE_EHR_RECORDS)
    await live.send(form("GAD-7", 0, 0, 0, 0, 0, 0, 0), Role.PATIENT)
    await live.send(CloseJourney(reason="Course complete"), Role.COORDINATOR)
    assert "RUNNING" == await live.status()

    gate.set()

    assert await live.handle.result() == len(live.stream.records)
    assert "ehr_records_written.v1" == live.stream.types[-1]
    written = clinic.outside.keys(live.id, WRITE_EHR_RECORDS)
    assert len(set(written)) == len(written), "a run that left did not wait for its attempt"


# --- a short story, told twice ------------------------------------------------------------------------------------


def commands() -> list[CommandEnvelope]:
    """A referral that is taken on, under the same command ids each time."""
    steps = [
        (REFERRAL, Role.THERAPIST),
        (AcknowledgeReferral(), Role.COORDINATOR),
        (measured(68), Role.ON_CALL),
        (AcceptReferral(), Role.COORDINATOR),
        (AssignPrescriber(prescriber=PRESCRIBER), Role.COORDINATOR),
        (measured(70), Role.PRESCRIBER),
        (ActivatePortal(), Role.PATIENT),
    ]
    return [ask(step, by, command_id=uuid5(STORY, str(number))) for number, (step, by) in enumerate(steps)]


async def told(clinic: Clinic) -> Live:
    """Tell it, each effect being answered before the next command."""
    live = clinic.journey(JourneyStart(journey_id=uuid4(), patient_id=PATIENT_ID, simulated=True))
    first, *rest = commands()
    await live.open(command_id=first.command_id)
    await live.settled()
    for command in rest:
        await live.send(command)
        await live.settled()
    return live


def anonymous(live: Live) -> list[object]:
    """Its events without what differs between two lives: their ids and the time of day."""
    events = [{"type": r.header.type, "data": r.content.data, "by": r.header.actor.role} for r in live.stream.records]
    text = json.dumps(events).replace(str(live.id), "journey")
    told_events: list[object] = json.loads(re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-][\d:]+)?", "moment", text))
    return told_events
