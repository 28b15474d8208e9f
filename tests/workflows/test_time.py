"""Time: one timer for whatever is due next, breaches recorded once, and a clock that may be another day's (D2, D16)."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from domain.envelope import Role
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from tests.workflows.asking import PATIENCE_SECONDS, ask, eventually
from tests.workflows.clinic import PATIENT_ID, Clinic
from tests.workflows.live import Live
from workflows import clock
from workflows.contracts import JourneyStart

DAY_1 = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""


async def test_there_is_one_open_timer(clinic: Clinic) -> None:
    """However much is owed, the run keeps exactly one timer, and re-arms it only when the next moment changes."""
    live = await clinic.opened()
    await live.settled()
    await eventually(lambda: has_timers(live, 1))
    before = await timers(live, "TIMER_STARTED")

    for _ in range(3):
        await live.refused(AcceptReferral(), Role.PATIENT)

    assert before == await timers(live, "TIMER_STARTED")
    await live.send(AcknowledgeReferral())
    await eventually(lambda: has_timers(live, 1))


async def test_a_breach_is_recorded_when_its_time_comes_and_once(clinic: Clinic) -> None:
    """Nobody acknowledges the referral: after one business day that is an event, by the system, at that moment."""
    live = await at(clinic, DAY_1)
    (owed,) = clinic.log.asked[live.id][-1].worklist

    await live.wind(owed.due_at - DAY_1 - timedelta(minutes=5))
    assert "sla_breached.v1" not in live.stream.types
    await live.wind(timedelta(minutes=10))
    await live.logged("sla_breached.v1")
    await live.wind(timedelta(days=2))

    breaches = [record for record in live.stream.records if record.header.type == "sla_breached.v1"]
    assert [owed.key] == [record.content.data["key"] for record in breaches if record.content.data["key"] == owed.key]
    assert timedelta() <= breaches[0].header.recorded_at - owed.due_at < timedelta(minutes=1)
    assert Role.SYSTEM == breaches[0].header.actor.role


async def test_a_journey_that_was_away_records_what_it_missed(clinic: Clinic) -> None:
    """What fell due while a journey was not running is recorded as soon as it runs again."""
    live = await at(clinic, DAY_1)
    await live.settled()
    (owed,) = clinic.log.asked[live.id][-1].worklist
    await live.handle.terminate("lost")
    later = live.start.model_copy(
        update={"clock_shift_seconds": live.start.clock_shift_seconds - timedelta(days=3).total_seconds()}
    )
    live.start = later

    again = await clinic.rehydrated(live)

    await again.logged("sla_breached.v1")
    assert owed.due_at < again.stream.records[-1].header.recorded_at


async def test_a_shifted_clock_is_clinical_time(clinic: Clinic) -> None:
    """In simulated mode a case lives on its own dates: now is shifted, in every event and in every deadline."""
    live = await at(clinic, DAY_1)

    opened = live.stream.records[0]
    assert timedelta() <= opened.header.recorded_at - DAY_1 < timedelta(minutes=1)
    (owed,) = clinic.log.asked[live.id][-1].worklist
    assert date(2026, 1, 6) == owed.due_at.date()


async def test_a_command_cannot_have_happened_in_the_future_of_its_journey(clinic: Clinic) -> None:
    """Occurred-at is judged by the journey's own clock."""
    live = await at(clinic, DAY_1)
    command = ask(AcknowledgeReferral())

    assert "OCCURRED_IN_FUTURE" == await live.refused(
        command.model_copy(update={"occurred_at": DAY_1 + timedelta(hours=1)})
    )
    await live.wind(timedelta(hours=2))
    again = command.model_copy(update={"command_id": uuid4(), "occurred_at": DAY_1 + timedelta(hours=1)})
    await live.send(again)
    assert DAY_1 + timedelta(hours=1) == live.stream.records[-1].header.occurred_at


async def test_what_was_looked_at_is_not_looked_at_again(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment that has passed wakes a journey once, whatever comes of it: else it would spin and answer nobody."""
    monkeypatch.setattr(clock, "due_moments", lambda journey: [journey.opened_at - timedelta(days=1)])

    async with asyncio.timeout(PATIENCE_SECONDS):
        live = await clinic.opened()
        await live.settled()
        await live.send(AcknowledgeReferral())

    await live.quiet()
    assert await has_timers(live, 0)


# --- what the tests look at ---------------------------------------------------------------------------------------


async def at(clinic: Clinic, moment: datetime) -> Live:
    """A journey that is opened at this moment."""
    shift = datetime.now(UTC) - moment
    live = clinic.journey(
        JourneyStart(
            journey_id=uuid4(), patient_id=PATIENT_ID, clock_shift_seconds=shift.total_seconds(), simulated=True
        )
    )
    await live.open()
    await live.settled()
    return live


async def timers(live: Live, kind: str) -> int:
    """How many events of this kind the run has."""
    return (await live.event_types()).count(kind)


async def has_timers(live: Live, number: int) -> bool:
    """Whether this many timers are open."""
    types = await live.event_types()
    return number == types.count("TIMER_STARTED") - types.count("TIMER_CANCELED") - types.count("TIMER_FIRED")
