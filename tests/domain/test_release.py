"""INV-17: nobody goes home unless every release criterion is met (domain.md §1.3)."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.journey.dosing import RecordDose
from domain.journey.release import DosingReleased, ReleaseCriteriaEvaluated
from tests.domain import stages, v1
from tests.domain.kit import Story, day, refused, types


def on_the_couch(minutes: float = 125, *, doses: int = 1) -> tuple[Story, UUID]:
    """So many minutes after the dose, or after the session's start when none was taken; fresh vital signs."""
    story = v1.ready_to_dose()
    session = v1.dosing_session(story)
    v1.start(story)
    if doses:
        story.yes(RecordDose(session_id=session, mg=100, lot="L1"))
    story.after(minutes=minutes).yes(stages.vitals(), Role.THERAPIST)
    return story, session


@pytest.mark.parametrize(("minutes", "code"), [(119, Code.RELEASE), (119.99, Code.RELEASE), (120, None)])
def test_two_hours_after_the_last_dose(minutes: float, code: Code | None) -> None:
    """At 120 whole minutes the patient may go, not before."""
    story, session = on_the_couch(minutes)

    assert code == refused(story.do(stages.release(session, story.now)))


def test_the_booster_starts_the_two_hours_again() -> None:
    """The last line of the session counts, not the first."""
    story, session = on_the_couch(60)
    story.yes(RecordDose(session_id=session, mg=50, lot="L1", is_booster=True))
    story.after(minutes=119).yes(stages.vitals(), Role.THERAPIST)

    assert Code.RELEASE == refused(story.do(stages.release(session, story.now)))
    assert refused(story.after(minutes=1).do(stages.release(session, story.now))) is None


@pytest.mark.parametrize(
    ("differing", "unmet"),
    [
        ({"oriented": False}, "oriented"),
        ({"gait_steady": False}, "steady gait"),
        ({"vomiting": True}, "no vomiting"),
        ({"new_suicidal_ideation": True}, "no new suicidal ideation"),
        ({"escort_present": False}, "escort present"),
    ],
)
def test_each_criterion_is_needed(differing: dict[str, bool], unmet: str) -> None:
    """One that is not met keeps the patient; what was found is recorded beside the refusal."""
    story, session = on_the_couch()
    decision = story.do(stages.release(session, story.now, **differing))

    assert Code.RELEASE == refused(decision)
    assert ReleaseCriteriaEvaluated.type == types(decision)[0]
    assert DosingReleased.type not in types(decision)
    assert (unmet,) == story.events(ReleaseCriteriaEvaluated)[-1].unmet


@pytest.mark.parametrize(("clock", "code"), [("23:59", Code.RELEASE), ("00:00", None)])
def test_nobody_drives_on_the_day_of_a_dose(clock: str, code: Code | None) -> None:
    """Driving is forbidden up to the patient's own midnight at least; a minute less is refused."""
    story, session = on_the_couch()
    until = day(22 if code else 23, clock)
    early = stages.release(session, story.now).model_copy(update={"no_drive_until": until})

    assert code == refused(story.do(early))


@pytest.mark.parametrize(
    ("reading", "code"), [((150, 95, 110), None), ((151, 95, 74), Code.RELEASE), ((130, 80, 111), Code.RELEASE)]
)
def test_the_newest_vital_signs_decide(reading: tuple[int, int, int], code: Code | None) -> None:
    """150/95 and 110 beats may go home; 151, or 111 beats, may not."""
    story, session = on_the_couch()
    story.after(minutes=1).yes(stages.vitals(*reading), Role.THERAPIST)

    assert code == refused(story.do(stages.release(session, story.now)))


@pytest.mark.parametrize(("minutes", "code"), [(15, None), (16, Code.RELEASE)])
def test_vital_signs_are_good_for_a_quarter_of_an_hour(minutes: int, code: Code | None) -> None:
    """Vital signs of 15 minutes ago serve; older ones do not."""
    story, session = on_the_couch()
    story.after(minutes=minutes)

    assert code == refused(story.do(stages.release(session, story.now)))


def test_a_session_without_a_dose_uses_up_nothing() -> None:
    """A session that was started and in which nothing was taken owes no integration and counts as no dose."""
    story, session = on_the_couch(doses=0)
    decision = story.yes(stages.release(session, story.now))

    assert DosingReleased.type in types(decision)
    assert 0 == story.journey.dosing.count
    assert 2 == story.journey.prescriptions.all[0].sessions_left
    assert "HOLD_INTEGRATION" not in story.tasks()


def test_a_released_session_is_over() -> None:
    """After the release nothing can be recorded in the session, and it cannot be started again."""
    story = v1.dosed()
    session = v1.dosing_session(story)

    assert Code.WRONG_STAGE == refused(story.do(stages.look(session)))
    assert Code.ALREADY_DONE == refused(v1.start(story))


def test_somebody_owes_the_next_look_at_the_patient() -> None:
    """While a session runs, the therapist owes a check-in 15 minutes after the last one."""
    story, session = on_the_couch(14)
    started = story.tasks()["CHECK_IN_ON_PATIENT"]
    story.yes(stages.look(session))
    looked = story.tasks()["CHECK_IN_ON_PATIENT"]

    assert Role.THERAPIST is started.owner
    assert 14 == (looked.due_at - started.due_at).total_seconds() / 60
