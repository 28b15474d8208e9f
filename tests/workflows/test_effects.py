"""Effects: one in flight per lane, in order, tried again with patience, given up only when too late (D17)."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from domain.effects import EffectCall, EffectRejected
from domain.envelope import Role
from domain.journey.messages import IfLate
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from runtime.names import SEND_MESSAGE, WRITE_EHR_RECORDS
from tests.domain import v1
from tests.domain.kit import day
from tests.domain.stages import form
from tests.workflows.asking import eventually
from tests.workflows.clinic import Clinic
from tests.workflows.live import Live
from workflows import lanes
from workflows.contracts import Attempt

GAD7 = form("GAD-7", 1, 1, 1, 1, 1, 0, 0)


async def test_one_effect_of_a_lane_is_in_flight_and_order_is_kept(clinic: Clinic) -> None:
    """What was owed later never overtakes, however long the first takes; other lanes do not wait for it."""
    live = await clinic.resumed(v1.onboarded())
    gate = clinic.outside.hold(live.id, WRITE_EHR_RECORDS)
    for _ in range(3):
        await live.send(GAD7, Role.PATIENT)
    owed = [effect.key for effect in live.open_state.outbox.owed if effect.lane == "ehr"]
    assert 3 == len(owed)
    await eventually(lambda: owed[:1] == clinic.outside.keys(live.id, WRITE_EHR_RECORDS))

    gate.set()

    await live.settled()
    assert owed == clinic.outside.keys(live.id, WRITE_EHR_RECORDS)


async def test_a_failed_attempt_is_made_again_with_growing_patience(clinic: Clinic) -> None:
    """It never gives up by itself; the attempts are numbered, the key stays the same."""
    live = clinic.journey()
    clinic.outside.fail(live.id, WRITE_EHR_RECORDS, times=4)
    await live.open()

    for attempt in range(1, 5):
        await eventually(partial(were_made, live, attempt))
        await live.quiet()
        await live.wind(timedelta(seconds=5 * 2 ** (attempt - 1) + 1))
    await live.settled()

    assert [1, 2, 3, 4, 5] == [call.attempt for call in calls(live)]
    assert 1 == len({call.key for call in calls(live)})
    assert 1 == live.stream.types.count("ehr_records_written.v1")


async def test_attempts_survive_a_hand_over(clinic: Clinic) -> None:
    """The next run knows how often was tried and when to try again, and does not start anew."""
    live = clinic.journey()
    clinic.outside.fail(live.id, WRITE_EHR_RECORDS, times=2)
    await live.open()
    await live.quiet()
    await live.send(AcknowledgeReferral())
    await live.send(AcceptReferral())  # a phase exit
    await eventually(lambda: clinic.outside.keys(live.id, SEND_MESSAGE) != [])

    (attempt,) = (await live.handed_over()).attempts.values()
    assert 1 == attempt.count
    assert 1 == len(calls(live))
    await live.wind(timedelta(seconds=6))
    await eventually(lambda: [1, 2] == [call.attempt for call in calls(live)])


async def test_an_answer_that_was_lost_is_asked_for_again(clinic: Clinic) -> None:
    """An effect that was done and not acknowledged is done once, and its outcome recorded."""
    live = clinic.journey()
    clinic.outside.lose_answer(live.id, WRITE_EHR_RECORDS)
    await live.open()
    await live.quiet()

    await live.wind(timedelta(seconds=6))
    await live.settled()

    assert 2 == len(calls(live))
    assert 1 == live.stream.types.count("ehr_records_written.v1")


async def test_a_rejection_is_an_outcome_and_not_tried_again(clinic: Clinic) -> None:
    """When the outside says no for good, a person must look: the event is recorded, the lane goes on."""
    live = clinic.journey()
    clinic.outside.answer(live.id, WRITE_EHR_RECORDS, EffectRejected(code="422"))
    await live.open()

    await live.logged("effect_refused.v1")
    assert 1 == len(calls(live))
    assert "OUTSIDE_REJECTED" in {item.code for item in clinic.log.asked[live.id][-1].worklist}


async def test_a_reminder_that_comes_too_late_is_recorded_as_missed(clinic: Clinic) -> None:
    """After the session has begun a reminder is not sent, and its missing is a fact."""
    live = await clinic.resumed(v1.ready_to_dose())

    await live.logged("effect_missed.v1")
    assert [] == clinic.outside.keys(live.id, SEND_MESSAGE)


async def test_what_expires_between_two_attempts_is_given_up_then(clinic: Clinic) -> None:
    """An effect that waits for its next attempt is missed when its time is over, not when the wait is."""
    story = v1.prepared().fork()
    story.at(day(v1.DOSE_DAYS[0], "09:55"))
    reminder = next(effect for effect in story.journey.outbox.owed if effect.if_late is IfLate.MISS)
    waiting = {reminder.key: Attempt(count=9, next_at=story.now + timedelta(minutes=15))}
    live = await clinic.resumed(story, attempts=waiting)

    await live.wind(timedelta(minutes=6))

    await live.logged("effect_missed.v1")
    missed = live.stream.records[live.stream.types.index("effect_missed.v1")].header.recorded_at
    assert reminder.expires_at is not None
    assert timedelta() <= missed - reminder.expires_at < timedelta(minutes=1)
    assert [] == clinic.outside.keys(live.id, SEND_MESSAGE)


async def test_a_bug_beside_the_handlers_stops_the_task_and_loses_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure in work that nobody awaits is as loud as one in a handler; corrected code goes on from there."""
    live = clinic.journey()
    clinic.outside.fail(live.id, WRITE_EHR_RECORDS)
    with monkeypatch.context() as patch:
        patch.setattr(lanes, "next_attempt", None)
        await live.open()

        async def fails() -> bool:
            return "WORKFLOW_TASK_FAILED" in await live.event_types()

        await eventually(fails)
        assert "RUNNING" == await live.status()

    await live.quiet()
    await live.wind(timedelta(seconds=6))
    await live.settled()
    assert 1 == live.stream.types.count("ehr_records_written.v1")


# --- what the tests look at ---------------------------------------------------------------------------------------


def calls(live: Live) -> list[EffectCall]:
    """The attempts at the EHR."""
    return [call for call in live.clinic.outside.calls[live.id] if call.request.kind == WRITE_EHR_RECORDS]


def were_made(live: Live, attempts: int) -> bool:
    """Whether the EHR was tried this often."""
    return attempts == len(calls(live))
