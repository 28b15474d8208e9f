"""History first, then the log, then the state; and what happens when the log does not answer, or answers otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain import journey as rules
from domain import protocols
from domain.codes import Code
from domain.envelope import CommandEnvelope, EventRecord, Purpose, Role
from domain.journey import Context, Source
from domain.journey.dispensing import PharmacyStatusReceived
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from domain.journey.safety import AnswerPage, ReportSafetyConcern
from domain.protocols import Protocol
from runtime.names import JOURNEY_VERSION
from tests.workflows.asking import ask, eventually
from tests.workflows.clinic import Clinic
from tests.workflows.live import Live
from workflows.ledger import request_digest

CONCERN = ReportSafetyConcern(concern="He said goodbye")
LATE_FILL = PharmacyStatusReceived(key="unknown", code="010", accepted=True)


async def test_state_moves_only_after_the_append(clinic: Clinic) -> None:
    """While the log is down nothing is answered or shown; when it is back, the events are there once."""
    live = await clinic.opened()
    await live.settled()
    version = len(live.stream.records)
    clinic.log.down.add(live.id)
    waiting = await live.begin(AcknowledgeReferral())
    await eventually(lambda: len(clinic.log.asked[live.id]) > version)
    assert version == await shown_version(live)

    clinic.log.down.discard(live.id)

    assert ("referral_acknowledged.v1",) == (await waiting.result()).events
    assert 1 == live.stream.types.count("referral_acknowledged.v1")
    await eventually(lambda: shows(live, version + 1))


async def test_a_lost_acknowledgement_applies_once(clinic: Clinic) -> None:
    """An append that was committed and not heard of is acknowledged when it is sent again."""
    live = await clinic.opened()
    await live.settled()
    clinic.log.deaf.add(live.id)

    answer = await live.send(AcknowledgeReferral())

    assert len(live.stream.records) == answer.sequence
    assert 1 == live.stream.types.count("referral_acknowledged.v1")
    same = [request for request in clinic.log.asked[live.id] if request.records[-1].header.sequence == answer.sequence]
    assert 2 == len(same)
    assert same[0] == same[1]
    assert ("referral_accepted.v1",) == (await live.send(AcceptReferral())).events


async def test_a_stalled_log_refuses_new_commands_but_no_safety_command(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that could only queue is refused at once; a concern is taken, and pages before it is recorded."""
    monkeypatch.setattr(protocols, "CATALOGUE", {name: impatient(one) for name, one in protocols.CATALOGUE.items()})
    live = await clinic.opened()
    await live.settled()
    clinic.log.down.add(live.id)
    waiting = await live.begin(AcknowledgeReferral())

    await eventually(lambda: "referral_acknowledged.v1" == clinic.log.asked[live.id][-1].records[0].header.type)
    assert Code.LOG_STALLED == await live.refused(AcceptReferral())
    concern = await live.begin(CONCERN, Role.COORDINATOR)
    await eventually(lambda: bool(live.pages()))
    assert "safety_concern_added.v1" not in live.stream.types

    clinic.log.down.discard(live.id)
    await waiting.result()
    assert "hold_placed.v1" in (await concern.result()).events
    assert ("page_answered.v1",) == (await live.send(AnswerPage(), Role.ON_CALL)).events


async def test_a_diverged_log_is_never_written_to_again(clinic: Clinic) -> None:
    """When the log is not the one the journey knows, commands and facts wait, and the safety path stays open."""
    live = await diverged(clinic)
    records = list(live.stream.records)

    assert Code.LEDGER_DIVERGED == await live.refused(AcceptReferral())
    await live.report(LATE_FILL, "fact-1")
    concern = ask(CONCERN, Role.COORDINATOR)
    assert Code.LEDGER_DIVERGED == await live.refused(concern)
    await eventually(lambda: bool(live.pages()))
    assert Code.LEDGER_DIVERGED == await live.refused(AnswerPage(), Role.ON_CALL)
    await eventually(lambda: has_ended(live, concern.command_id))
    assert records == live.stream.records
    assert "RUNNING" == await live.status()


async def test_a_fact_that_meets_a_diverged_log_fails_no_journey(clinic: Clinic) -> None:
    """Even the very append that finds the divergence, when nobody waits for its answer, leaves the journey running."""
    live = await clinic.opened()
    await live.settled()
    rewrite(live)

    await live.report(LATE_FILL, "fact-1")

    async def is_noticed() -> bool:
        return await live.refused(AcknowledgeReferral()) == Code.LEDGER_DIVERGED

    await eventually(is_noticed)
    assert "RUNNING" == await live.status()


async def test_a_command_that_another_life_recorded_is_no_reason_to_evolve(clinic: Clinic) -> None:
    """A log that is ahead with this very command is a divergence: the state was not decided from what it holds."""
    live = await clinic.opened()
    await live.settled()
    command = ask(AcknowledgeReferral())
    written = append_elsewhere(live, command)

    assert Code.LEDGER_DIVERGED == await live.refused(command)
    assert written == len(live.stream.records)


async def test_a_command_recorded_before_a_restart_gets_its_old_answer(clinic: Clinic) -> None:
    """A journey that was rehydrated from the log knows no receipts; the log does."""
    first = await clinic.opened()
    command = ask(AcknowledgeReferral())
    answer = await first.send(command)
    await first.settled()
    await first.handle.terminate("lost")

    again = await clinic.rehydrated(first)

    assert answer == await again.send(command)
    assert 1 == again.stream.types.count("referral_acknowledged.v1")


# --- what the tests do to a log -----------------------------------------------------------------------------------


def impatient(policy: Protocol) -> Protocol:
    """The same rules, under which a log that does not answer at once is stalled."""
    clocks = policy.clocks.model_copy(update={"append_stall_seconds": 0})
    return policy.model_copy(update={"clocks": clocks})


def rewrite(live: Live) -> None:
    """Let the log be another one than the journey knows."""
    live.stream.hashes[-1] = "f" * 64


async def diverged(clinic: Clinic) -> Live:
    """A journey that has just learnt that its log is another one."""
    live = await clinic.opened()
    await live.settled()
    rewrite(live)
    assert Code.LEDGER_DIVERGED == await live.refused(AcknowledgeReferral())
    return live


def append_elsewhere(live: Live, command: CommandEnvelope) -> int:
    """Record a command as another run of this journey would; the length of the log then."""
    now = datetime.now(UTC)
    ctx = Context(
        command_id=command.command_id,
        actor=command.actor,
        now=now,
        at=now,
        policy=protocols.protocol(live.open_state.policy_version),
    )
    decision = rules.decide(live.state, rules.parse_command(command), ctx)
    source = Source(purpose=Purpose.TREAT, request_digest=request_digest(command), key_version=1, draw_id=uuid4)
    records: tuple[EventRecord, ...] = rules.record(live.state, decision.events, ctx, source)
    live.stream.put(records)
    return len(live.stream.records)


async def has_ended(live: Live, command_id: UUID) -> bool:
    """Whether the page for this command was called off."""
    return "COMPLETED" == await live.escalation_status(command_id)


async def shown_version(live: Live) -> int:
    """The version that ops see."""
    shown = (await live.handle.describe()).typed_search_attributes.get(JOURNEY_VERSION)
    return shown or 0


async def shows(live: Live, version: int) -> bool:
    """Whether ops see this version."""
    return version == await shown_version(live)
