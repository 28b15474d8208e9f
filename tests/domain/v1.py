"""Journeys that stand at a stage of V1, on V1's own dates: lived once, then forked for whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from uuid import UUID

from domain.envelope import Role
from domain.journey.course import CompleteCourse
from domain.journey.dosing import StartDosing
from domain.journey.messages import Decision
from domain.journey.prescription import QueryPdmp
from domain.journey.scheduling import SessionKind
from tests.domain import stages
from tests.domain.kit import Story, day

DOSE_DAYS = (22, 36, 50, 64, 78, 92, 106, 120)
FORM_DAYS = (66, 94, 122)
"""Days of an integration on which PHQ-9 and GAD-7 are filled in too."""


def _lived_once(live: Callable[..., Story]) -> Callable[..., Story]:
    lived = cache(live)

    @wraps(live)
    def forked(*arguments: int) -> Story:
        return lived(*arguments).fork()

    return forked


@_lived_once
def opened() -> Story:
    """D0: referred, accepted, a prescriber assigned."""
    story = Story()
    stages.refer(story)
    return story


@_lived_once
def onboarded() -> Story:
    """D2: every form is in; the intake can be booked."""
    story = opened()
    stages.come_aboard(story)
    return story


@_lived_once
def intake_done() -> Story:
    """D8, 15:50: under review."""
    story = onboarded()
    stages.hold_intake(story)
    return story


@_lived_once
def eligible() -> Story:
    """D8, 16:00: eligible, valid to D188."""
    story = intake_done()
    story.at(day(8, "16:00")).yes(stages.verdict())
    return story


@_lived_once
def prescribed() -> Story:
    """D8: the first batch of two sessions is accepted by the pharmacy."""
    story = eligible()
    stages.prescribe(story)
    return story


@_lived_once
def drug_delivered() -> Story:
    """D12: the parcel is at the door."""
    story = prescribed()
    stages.deliver(story, story.journey.prescriptions.all[0].rx_id, day(10), day(12))
    return story


@_lived_once
def prepared() -> Story:
    """D15: prepared with the therapist; dose 1 is booked."""
    story = drug_delivered()
    stages.prepare(story, day(15))
    story.book(SessionKind.DOSING, day(DOSE_DAYS[0]), 180)
    return story


@_lived_once
def ready_to_dose(dose: int = 1) -> Story:
    """The dosing day at 10:00, with every fact in that must be true that day."""
    story = prepared() if dose == 1 else before_dose(dose)
    stages.morning(story, day(DOSE_DAYS[dose - 1]))
    return story


@_lived_once
def dosed(dose: int = 1) -> Story:
    """The patient has gone home after this dose; the second is V1's with a booster."""
    story = ready_to_dose(dose)
    stages.take_dose(story, dosing_session(story), booster=dose == 2)
    return story


@_lived_once
def integrated(dose: int = 1) -> Story:
    """Two days after the dose, its integration is complete and V1's forms of that day are in."""
    story, number = dosed(dose), DOSE_DAYS[dose - 1] + 2
    stages.integrate(story, story.journey.dosing.records[-1].session_id, day(number))
    if number in FORM_DAYS:
        fill_in(story, number)
    return story


@_lived_once
def followed_up() -> Story:
    """D38: the medical follow-up is held and the batch of six is prescribed; it is delivered on D43."""
    story = integrated(2)
    story.at(day(38, "14:00"))
    fill_in(story, 38)
    stages.follow(story, day(38, "15:00"))
    story.at(day(38, "16:00")).yes(QueryPdmp())
    story.outside()
    rx_id = stages.prescribe(story, stages.NEXT_BATCH)
    stages.deliver(story, rx_id, day(40), day(43))
    return story


@_lived_once
def before_dose(dose: int) -> Story:
    """The dose before is integrated, what lies between is done, and this one is booked."""
    story = followed_up() if dose == 3 else integrated(dose - 1)
    story.book(SessionKind.DOSING, day(DOSE_DAYS[dose - 1]), 180)
    return story


@_lived_once
def completed() -> Story:
    """D127: eight doses, and the course is complete."""
    story = integrated(8)
    story.at(day(127)).yes(CompleteCourse(relapse_plan="Call when sleep goes"))
    return story


def fill_in(story: Story, number: int) -> None:
    """Fill in V1's PHQ-9 and GAD-7 of that day."""
    story.yes(stages.form("PHQ-9", *stages.PHQ9[number]), Role.PATIENT)
    story.yes(stages.form("GAD-7", *stages.GAD7[number]), Role.PATIENT)


def dosing_session(story: Story) -> UUID:
    """The dosing session that was booked last."""
    return [s for s in story.journey.sessions.all if s.kind is SessionKind.DOSING][-1].session_id


def start(story: Story) -> Decision:
    """Ask the gates whether this dose may begin."""
    return story.do(StartDosing(session_id=dosing_session(story)))
