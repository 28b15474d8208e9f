"""What can be written can be decided: the far ends of the calendar, and more readings than anybody takes.

A command is durable before it is decided, so one that makes a rule crash would stop its journey for good.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.bodies import read_moment
from api.problems import ProblemError
from domain.codes import Code
from domain.envelope import Role
from domain.journey.dosing import RecordDose
from domain.journey.messages import Command
from domain.journey.observations import OLDER_KEPT
from domain.journey.onboarding import AttestLocation
from domain.journey.prescription import Draft
from domain.journey.scheduling import BOOKED_AHEAD_MAX, ScheduleSession, SessionKind
from domain.values import EARLIEST, TOO_LATE, Instant
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused

LAST = TOO_LATE - timedelta(microseconds=1)
INSTANT = TypeAdapter[datetime](Instant)
OUTSIDE = [
    "0001-01-01T00:00:00+14:00",
    "1899-12-31T23:59:59Z",
    "1900-01-01T00:00:00+00:01",
    "2200-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
]
FAR = st.sampled_from([EARLIEST, LAST, day(22, "09:00"), day(22, "11:00")])


@pytest.mark.parametrize("text", OUTSIDE)
def test_no_moment_lies_outside_the_years_of_ours(text: str) -> None:
    """Before 1900 and from 2200 on, in UTC, a field is malformed, and the header too."""
    with pytest.raises(ValidationError):
        INSTANT.validate_json(f'"{text}"')
    with pytest.raises(ProblemError) as header:
        read_moment(text)

    assert 422 == header.value.status


@pytest.mark.parametrize("moment", [EARLIEST, LAST])
def test_the_first_and_the_last_moment_are_read(moment: datetime) -> None:
    """1 January 1900 and the last microsecond of 2199 are moments, as a field and as the header."""
    assert (moment, moment) == (INSTANT.validate_python(moment), read_moment(moment.isoformat()))


@settings(max_examples=25, deadline=None)
@given(at=FAR, starts_at=FAR, minutes=st.sampled_from([10, 600]))
@example(at=EARLIEST, starts_at=LAST, minutes=600)
@example(at=EARLIEST, starts_at=EARLIEST, minutes=10)
def test_no_date_makes_a_rule_crash(at: datetime, starts_at: datetime, minutes: int) -> None:
    """Whatever the dates, every command is answered and what is owed can be told; then a dose is asked for."""
    story = v1.ready_to_dose()
    book = ScheduleSession(kind=SessionKind.DOSING, starts_at=starts_at, minutes=minutes)
    commands: list[tuple[Command, Role]] = [
        (book, Role.COORDINATOR),
        (stages.vitals(), Role.PATIENT),
        (AttestLocation(state="NY", address="Home"), Role.PATIENT),
        (stages.look(v1.dosing_session(story)), Role.THERAPIST),
    ]
    for command, role in commands:
        story.do(command, role, occurred_at=at)  # the story asks decide, evolve, due and the worklist at every step
    decision = v1.start(story)

    assert decision.events or decision.refusal
    assert story.due()


@pytest.mark.parametrize(("at", "code"), [(EARLIEST, None), (LAST, Code.OCCURRED_IN_FUTURE)])
def test_a_referral_of_any_date_is_answered(at: datetime, code: Code | None) -> None:
    """A referral said to be of 1900 opens a journey that owes its next step; one of 2199 is refused."""
    story = Story()
    stranger = stages.REFERRAL.model_copy(
        update={"patient": stages.PATIENT.model_copy(update={"birth_date": EARLIEST.date().replace(year=1800)})}
    )

    assert code == refused(story.do(stranger, Role.THERAPIST, occurred_at=at))
    assert (code is None) == bool(story.due())


@pytest.mark.parametrize(("over", "code"), [(0, None), (1, Code.WRONG_STAGE)])
def test_a_session_is_booked_two_years_ahead_at_most(over: int, code: Code | None) -> None:
    """A session in 2199 is a slip of the pen."""
    story = v1.prepared()
    starts_at = story.now + BOOKED_AHEAD_MAX + timedelta(minutes=over)
    book = ScheduleSession(kind=SessionKind.DOSING, starts_at=starts_at, minutes=60)

    assert code == refused(story.do(book, Role.COORDINATOR))


@pytest.mark.parametrize("strength", [1000.1, 0.09, 5e-324])
def test_a_unit_has_a_strength_that_exists(strength: float) -> None:
    """From 0.1 mg to 1000 mg: the number of units that a session needs is always a number."""
    with pytest.raises(ValidationError):
        Draft.model_validate(dict(stages.FIRST_BATCH) | {"strength_mg": strength})


def test_harmless_readings_push_no_dangerous_one_away() -> None:
    """After a P4, thirty good readings of the same hour change nothing: the day has ended."""
    story = v1.ready_to_dose()
    story.yes(stages.vitals(182, 118), Role.THERAPIST)
    for _ in range(30):
        story.after(minutes=1).yes(stages.vitals(), Role.PATIENT)

    assert Code.BP_GATE == refused(v1.start(story))


def test_a_d3_ends_the_boosters_however_many_readings_follow() -> None:
    """After a D3, thirty D1 readings bring no booster back."""
    story = v1.ready_to_dose()
    session = v1.dosing_session(story)
    v1.start(story)
    story.yes(RecordDose(session_id=session, mg=100, lot="L1"))
    story.after(minutes=5).yes(stages.vitals(186, 90), Role.THERAPIST)
    for _ in range(30):
        story.after(minutes=1).yes(stages.vitals(), Role.PATIENT)
    booster = RecordDose(session_id=session, mg=50, lot="L1", is_booster=True)

    assert Code.DOSE_CEILING == refused(story.do(booster))


def test_of_the_older_readings_the_newest_stay() -> None:
    """Of readings that are more than two days old the newest 24 stay, by when they were taken."""
    story = v1.prepared()
    before = len(story.journey.observations.readings)
    first = datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(OLDER_KEPT):
        story.yes(stages.vitals(), Role.PATIENT, occurred_at=first + timedelta(days=number))
    taken = [reading.taken_at for reading in story.journey.observations.readings]

    assert OLDER_KEPT == len(taken)
    assert sorted(taken) == taken
    assert first + timedelta(days=before) == taken[0]
