"""A safety command never waits (D12): it forbids dosing and wakes somebody before any lock, whatever the log does."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

from temporalio.api.enums.v1 import EventType

from domain.codes import Code
from domain.effects import EffectRejected
from domain.envelope import Role
from domain.instruments import Tier
from domain.journey.dosing import StartDosing
from domain.journey.holds import HoldKind
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from domain.journey.safety import AnswerPage, CloseSafetyCase, OnCallPaged, ReportSafetyConcern, case_of
from runtime.names import PAGE_ON_CALL
from tests.domain import v1
from tests.domain.stages import vitals
from tests.workflows.asking import ask, code_of, eventually
from tests.workflows.clinic import Clinic
from tests.workflows.live import Live

CONCERN = ReportSafetyConcern(concern="He said goodbye")


async def test_the_page_starts_in_the_first_workflow_task(clinic: Clinic) -> None:
    """In the same workflow task that takes the concern, before the append that would record it is even scheduled."""
    live = await clinic.opened()
    await live.settled()
    concern = ask(CONCERN, Role.COORDINATOR)
    clinic.log.down.add(live.id)

    waiting = await live.begin(concern)

    await eventually(lambda: [f"{live.id}.{case_of(concern.command_id)}.page.first.1"] == live.pages())
    history = await live.history()
    accepted = [e for e in history if e.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED][-1]
    started = [e for e in history if e.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED][-1]
    task = started.start_child_workflow_execution_initiated_event_attributes.workflow_task_completed_event_id
    assert accepted.event_id < started.event_id
    assert task == accepted.event_id - 1
    assert "safety_concern_added.v1" not in live.stream.types
    clinic.log.down.discard(live.id)
    assert ("safety_concern_added.v1", "safety_case_opened.v1", "hold_placed.v1") == (await waiting.result()).events


async def test_a_pending_hold_blocks_a_dose_that_is_started_meanwhile(clinic: Clinic) -> None:
    """A dose that is decided while a concern waits for the log is refused, as if the concern were recorded."""
    story = v1.ready_to_dose()
    live = await clinic.resumed(story)
    await live.logged("effect_missed.v1")
    clinic.log.down.add(live.id)
    first = await live.begin(vitals(), Role.PATIENT)  # holds the lock while the log is down
    dose = await live.begin(StartDosing(session_id=v1.dosing_session(story)))
    concern = await live.begin(CONCERN, Role.PATIENT)
    clinic.log.down.discard(live.id)
    await first.result()

    assert Code.HOLD_SAFETY == await code_of(dose)
    assert "hold_placed.v1" in (await concern.result()).events
    assert live.open_state.holds.has(HoldKind.SAFETY)


async def test_two_concerns_at_once_leave_one_hold_and_one_case(clinic: Clinic) -> None:
    """The second does not take the first's pending hold for one that stands: the hold is recorded."""
    live = await clinic.opened()
    await live.settled()
    clinic.log.down.add(live.id)
    busy = await live.begin(AcknowledgeReferral())
    concerns = [await live.begin(CONCERN, Role.COORDINATOR) for _ in range(2)]
    clinic.log.down.discard(live.id)
    await busy.result()
    for concern in concerns:
        await concern.result()

    assert 1 == live.stream.types.count("safety_case_opened.v1")
    assert 1 == live.stream.types.count("hold_placed.v1")
    assert live.open_state.holds.has(HoldKind.SAFETY)


async def test_an_unanswered_page_is_repeated_until_a_clinician_answers(clinic: Clinic) -> None:
    """Every five minutes, each with its own key; one answer stops every page of the journey."""
    live = await clinic.opened()
    concerns = [ask(CONCERN, Role.COORDINATOR) for _ in range(2)]
    for concern in concerns:
        await live.send(concern)
    await eventually(lambda: 2 == len(live.pages()))
    await live.logged("on_call_paged.v1")

    for concern in concerns:
        await clinic.wind(live.escalation(concern.command_id), timedelta(minutes=5, seconds=1))
    await eventually(lambda: 4 == len(live.pages()))
    await live.send(AnswerPage(), Role.ON_CALL)

    for concern in concerns:
        await eventually(partial(has_ended, live, concern.command_id))
    assert 4 == len(set(live.pages()))


async def test_a_page_is_called_off_across_a_hand_over(clinic: Clinic) -> None:
    """Which pages are unanswered travels in the snapshot; a closed case calls them off too."""
    live = await clinic.opened()
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)
    await live.send(AcknowledgeReferral())
    await live.send(AcceptReferral())  # a phase exit
    await live.settled()
    assert (case_of(concern.command_id),) == (await live.handed_over()).escalations
    assert "RUNNING" == await live.escalation_status(concern.command_id)

    await live.send(CloseSafetyCase(reason="Assessed", plan="Call daily", tier=Tier.LOW), Role.ON_CALL)

    await eventually(lambda: has_ended(live, concern.command_id))


async def test_an_answer_stops_the_page_while_the_log_is_down(clinic: Clinic) -> None:
    """A clinician who has answered is not paged again because a database is away; a stranger's answer stops nothing."""
    live = await clinic.opened()
    await live.settled()
    clinic.log.down.add(live.id)
    concern = ask(CONCERN, Role.COORDINATOR)
    waiting = await live.begin(concern)
    await eventually(lambda: bool(live.pages()))

    wrong = await live.begin(AnswerPage(), Role.PATIENT)
    answered = await live.begin(AnswerPage(), Role.ON_CALL)
    await eventually(lambda: has_ended(live, concern.command_id))

    clinic.log.down.discard(live.id)
    await waiting.result()
    assert Code.ROLE == await code_of(wrong)
    assert ("page_answered.v1",) == (await answered.result()).events


async def test_an_answer_by_somebody_else_stops_no_page(clinic: Clinic) -> None:
    """Who may not answer for this patient does not silence the pager."""
    live = await clinic.opened()
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)

    assert Code.ROLE == await live.refused(AnswerPage(), Role.PATIENT)
    assert "RUNNING" == await live.escalation_status(concern.command_id)


async def test_a_pager_that_is_away_is_tried_until_it_answers_or_a_clinician_does(clinic: Clinic) -> None:
    """An answer ends an escalation whose page never went out, and no page follows."""
    live = await clinic.opened()
    clinic.outside.fail(live.id, PAGE_ON_CALL, times=1000)
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)
    await eventually(lambda: 3 <= len(live.pages()))

    await live.send(AnswerPage(), Role.ON_CALL)

    await eventually(lambda: has_ended(live, concern.command_id))
    assert 1 == len(set(live.pages()))


async def test_a_pager_that_says_no_is_asked_again_soon(clinic: Clinic) -> None:
    """A refused page has woken nobody: the next one has another key, and comes within half a minute."""
    live = await clinic.opened()
    clinic.outside.answer(live.id, PAGE_ON_CALL, EffectRejected(code="http_400"))
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)
    await eventually(lambda: 1 == len(live.pages()))
    await live.escalation_quiet(concern.command_id)

    await clinic.wind(live.escalation(concern.command_id), timedelta(seconds=31))

    await eventually(lambda: 2 == len(set(live.pages())))


async def test_the_journey_learns_of_every_page(clinic: Clinic) -> None:
    """What the pager took is in the log, under the patient's key, with the pager's own id."""
    live = await clinic.opened()
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)

    await live.logged("on_call_paged.v1")

    (paged,) = [r for r in live.stream.records if r.header.type == OnCallPaged.type]
    assert {"case_id": str(case_of(concern.command_id)), "page_id": "page-1"} == paged.content.data
    assert Role.OUTSIDE == paged.header.actor.role
    case = live.open_state.safety.open_case
    assert case is not None
    assert paged.header.occurred_at == case.paged_at


async def test_a_page_needs_no_journey(clinic: Clinic) -> None:
    """An escalation outlives its journey's run: it pages on, and that nobody can be told stops nothing."""
    live = await clinic.opened()
    concern = ask(CONCERN, Role.COORDINATOR)
    await live.send(concern)
    await live.logged("on_call_paged.v1")
    await live.handle.terminate("lost")

    for number in (2, 3):
        await clinic.wind(live.escalation(concern.command_id), timedelta(minutes=5, seconds=1))
        report = clinic.client.get_workflow_handle(f"{live.escalation(concern.command_id).id}/page/{number}")
        assert "journey not running" == await report.result()
    assert 3 == len(set(live.pages()))


async def test_the_same_concern_again_pages_nobody_again(clinic: Clinic) -> None:
    """A retry is answered from its receipt; one command, one escalation."""
    live = await clinic.opened()
    concern = ask(CONCERN, Role.COORDINATOR)
    answer = await live.send(concern)
    await live.send(AnswerPage(), Role.ON_CALL)
    await eventually(lambda: has_ended(live, concern.command_id))

    assert answer == await live.again(concern)
    assert 1 == len(live.pages())


# --- what the tests look at ---------------------------------------------------------------------------------------


async def has_ended(live: Live, command_id: UUID) -> bool:
    """Whether a clinician has ended the escalation of this command."""
    return "COMPLETED" == await live.escalation_status(command_id)
