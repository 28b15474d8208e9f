"""Suicidality: one answer pages and holds; case and hold end by people only (domain.md §5.1, INV-16, INV-22)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.instruments import Answers, Tier
from domain.journey.assessment import SubmitGateForm
from domain.journey.holds import HoldKind, HoldPlaced, LiftHold, PlaceHold
from domain.journey.messages import CLINICIANS, Command
from domain.journey.observations import Alarm
from domain.journey.safety import (
    AnswerPage,
    CloseSafetyCase,
    PagerReported,
    ReportSafetyConcern,
    SafetyCaseOpened,
    case_of,
    urgent_tier,
)
from tests.domain import stages, v1
from tests.domain.kit import Story, refused, types

YES_TO_4 = Answers(yes_no={"q1": True, "q2": True, "q3": True, "q4": True, "q5": False, "q6": False})
YES_TO_3 = Answers(yes_no={"q1": True, "q2": True, "q3": True, "q4": False, "q5": False, "q6": False})
YES_TO_1 = Answers(yes_no={"q1": True, "q2": False, "q6": False})
MINIMAL_BUT_9 = stages.form("PHQ-9", 0, 1, 0, 0, 0, 0, 0, 0, 3)
CLOSE = CloseSafetyCase(reason="Seen", plan="Safety plan, weekly contact", tier=Tier.LOW)
LIFT = LiftHold(hold=HoldKind.SAFETY, reason="Two low tiers")

URGENT: list[Command] = [
    stages.screener(YES_TO_4),
    MINIMAL_BUT_9,
    SubmitGateForm(phq9_item9=3),
    ReportSafetyConcern(concern="Speaks of ending it"),
]


def flagged(command: Command = URGENT[0]) -> Story:
    """All gates green, and then this."""
    story = v1.ready_to_dose()
    story.yes(command, Role.PATIENT)
    return story


@pytest.mark.parametrize("command", URGENT, ids=lambda command: command.name)
def test_one_decision_opens_the_case_and_the_hold(command: Command) -> None:
    """C-SSRS high, item 9 = 3 on either form (a total of 4, "minimal"), or a report: case and hold together."""
    story = v1.ready_to_dose()
    decision = story.yes(command, Role.PATIENT)
    opened = story.events(SafetyCaseOpened)

    assert (SafetyCaseOpened.type, HoldPlaced.type) == types(decision)[-2:]
    assert [(case_of(story.last_id), Tier.HIGH)] == [(one.case_id, one.tier) for one in opened]
    assert Tier.HIGH is urgent_tier(command)
    assert Code.HOLD_SAFETY == refused(v1.start(story))


@pytest.mark.parametrize(
    ("command", "holds"),
    [
        (stages.screener(YES_TO_3), True),
        (stages.screener(YES_TO_1), False),
        (stages.screener(), False),
        (SubmitGateForm(phq9_item9=2), False),
        (stages.form("PHQ-9", 3, 3, 3, 3, 3, 3, 3, 3, 0), False),
    ],
)
def test_a_moderate_tier_holds_without_waking_anybody(command: Command, holds: bool) -> None:
    """Moderate: dosing is held until the prescriber has reviewed. Low, none, item 9 below 3, a high total: no hold."""
    story = flagged(command)

    assert urgent_tier(command) is None
    assert [] == story.events(SafetyCaseOpened)
    assert holds == story.journey.holds.has(HoldKind.SAFETY)


def test_a_moderate_hold_outlives_the_day() -> None:
    """The day after, with the C-SSRS low again, the hold still stands; the prescriber's review lifts it."""
    story = flagged(stages.screener(YES_TO_3))
    stages.morning(story, story.now + timedelta(days=1))

    assert Code.HOLD_SAFETY == refused(v1.start(story))

    story.yes(LIFT, Role.PRESCRIBER)

    assert refused(v1.start(story)) is None


def test_what_a_session_shows_opens_a_case() -> None:
    """An alarm symptom, no answer, no normal breathing: each opens the case and the hold; a quiet look opens none."""
    dosed = v1.ready_to_dose()
    v1.start(dosed)
    session = v1.dosing_session(dosed)
    look = stages.look(session)
    seen: list[Command] = [
        look.model_copy(update={"responsive": False}),
        look.model_copy(update={"breathing_normal": False}),
        stages.vitals(120, 80, alarms=(Alarm.CHEST_PAIN,)),
    ]
    for command in seen:
        story = dosed.fork()
        story.yes(command, Role.THERAPIST)

        assert Tier.HIGH is urgent_tier(command)
        assert ["session"] == [one.source for one in story.events(SafetyCaseOpened)]
        assert story.journey.holds.has(HoldKind.SAFETY)
    assert [None, None] == [urgent_tier(look), urgent_tier(stages.vitals(190, 120))]


def test_a_release_refused_for_new_ideation_opens_a_case() -> None:
    """The release is refused and recorded, and case and hold open beside the refusal."""
    story = v1.ready_to_dose()
    v1.start(story)
    leave = stages.release(v1.dosing_session(story), story.now, new_suicidal_ideation=True)
    decision = story.do(leave)

    assert Code.RELEASE == refused(decision)
    assert (SafetyCaseOpened.type, HoldPlaced.type) == types(decision)[-2:]
    assert Tier.HIGH is urgent_tier(leave)
    assert urgent_tier(stages.release(v1.dosing_session(story), story.now)) is None


def test_a_second_flag_joins_the_open_case() -> None:
    """While a case is open, another flag opens no second one and places no second hold."""
    story = flagged()
    story.yes(MINIMAL_BUT_9, Role.PATIENT)
    story.yes(ReportSafetyConcern(concern="Again"), Role.THERAPIST)

    assert 1 == len(story.events(SafetyCaseOpened))
    assert 1 == len(story.events(HoldPlaced))


def test_a_flag_at_any_stage_opens_a_case() -> None:
    """Before the onboarding is complete and after the course alike."""
    for story in (v1.opened(), v1.completed()):
        story.yes(ReportSafetyConcern(concern="Worried"), Role.COORDINATOR)

        assert story.journey.safety.open_case is not None
        assert "ANSWER_PAGE" in story.tasks()


@pytest.mark.parametrize("role", sorted(set(Role) - CLINICIANS))
def test_only_a_clinician_answers_and_closes(role: Role) -> None:
    """A patient, a coordinator, an auditor or the machine cannot say that a case is in hand, or over."""
    story = flagged()

    assert Code.ROLE == refused(story.do(AnswerPage(), role))
    assert Code.ROLE == refused(story.do(CLOSE, role))


def test_a_case_is_in_hand_when_somebody_answers() -> None:
    """The on-call clinician owes an answer in 5 minutes; after it the prescriber owes the case every day."""
    story = flagged()
    asked = story.tasks()["ANSWER_PAGE"]
    story.after(minutes=2).yes(AnswerPage(), Role.ON_CALL)

    assert (Role.ON_CALL, 300.0) == (asked.owner, (asked.due_at - story.now).total_seconds() + 120)
    assert Role.PRESCRIBER is story.tasks()["MANAGE_SAFETY_CASE"].owner
    assert "ANSWER_PAGE" not in story.tasks()


def test_the_hold_stands_while_the_case_is_open() -> None:
    """Nobody lifts a safety hold before a clinician has closed its case; closing alone does not lift it."""
    story = flagged()

    assert Code.HOLD_SAFETY == refused(story.do(LIFT, Role.PRESCRIBER))

    story.yes(CLOSE, Role.ON_CALL)

    assert Code.HOLD_SAFETY == refused(v1.start(story))
    assert refused(story.do(LIFT, Role.PRESCRIBER)) is None
    assert Code.NOT_FOUND == refused(story.do(LIFT, Role.PRESCRIBER))
    assert Code.NOT_FOUND == refused(story.do(CLOSE, Role.PRESCRIBER))
    assert Code.NOT_FOUND == refused(story.do(AnswerPage(), Role.PRESCRIBER))


LIFTERS = {
    HoldKind.MEDICAL: {Role.PRESCRIBER, Role.MEDICAL_DIRECTOR},
    HoldKind.SAFETY: {Role.PRESCRIBER, Role.MEDICAL_DIRECTOR},
    HoldKind.ALLIANCE: {Role.PRESCRIBER, Role.MEDICAL_DIRECTOR},
    HoldKind.ADMIN: {Role.COORDINATOR, Role.MEDICAL_DIRECTOR},
}


@pytest.mark.parametrize("kind", list(HoldKind))
@pytest.mark.parametrize("role", list(Role))
def test_inv_16_only_the_owner_lifts_a_hold(kind: HoldKind, role: Role) -> None:
    """Every kind of hold against every role; the therapist lifts no alliance hold and no safety hold."""
    story = v1.ready_to_dose()
    story.yes(PlaceHold(hold=kind, reason="Stop"), Role.COORDINATOR)
    answer = refused(story.do(LiftHold(hold=kind, reason="Go on"), role))

    assert (None if role in LIFTERS[kind] else Code.ROLE) == answer


def test_a_hold_is_reviewed_within_a_week() -> None:
    """Its owner owes a look seven days after it was placed; a second hold of its kind is refused."""
    story = v1.prepared()
    story.yes(PlaceHold(hold=HoldKind.ADMIN, reason="Papers"), Role.COORDINATOR)
    task = story.tasks()["REVIEW_HOLD_ADMIN"]

    assert (Role.COORDINATOR, 7) == (task.owner, (task.due_at - story.now).days)
    assert Code.ALREADY_DONE == refused(story.do(PlaceHold(hold=HoldKind.ADMIN, reason="More"), Role.COORDINATOR))


def test_a_page_belongs_to_its_own_case() -> None:
    """What the pager reports marks the case it was for, the first time only; a closed case's page marks no other."""
    story = flagged()
    case = story.journey.safety.open_case
    assert case is not None
    story.yes(PagerReported(case_id=UUID(int=7), page_id="another"))
    unmarked = story.journey.safety.open_case
    story.yes(PagerReported(case_id=case.case_id, page_id="first"))
    marked = story.journey.safety.open_case
    story.after(minutes=1).yes(PagerReported(case_id=case.case_id, page_id="again"))

    assert case == unmarked
    assert case.model_copy(update={"paged_at": case.opened_at}) == marked
    assert marked == story.journey.safety.open_case
