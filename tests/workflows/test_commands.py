"""Commands: answered, once, and always with the same answer."""

from __future__ import annotations

from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.codes import Code
from domain.envelope import CommandEnvelope, FactEnvelope, Role
from domain.journey.dosing import StartDosing
from domain.journey.observations import RecordMeasurements
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from tests.domain import v1
from tests.domain.kit import ACTORS, day
from tests.domain.stages import REFERRAL
from tests.workflows.asking import ask
from tests.workflows.clinic import Clinic
from workflows import ledger
from workflows.contracts import CommandAnswer
from workflows.ledger import request_digest


async def test_a_command_answers_with_its_sequence_and_event_types(clinic: Clinic) -> None:
    """An answer says where the journey stands and what was recorded, and that is what the log holds."""
    live, command_id = clinic.journey(), uuid4()

    answer = await live.open(command_id=command_id)

    assert (
        CommandAnswer(
            journey_id=live.id,
            command_id=command_id,
            sequence=2,
            events=("journey_opened.v1", "referral_submitted.v1"),
        )
        == answer
    )
    assert ["journey_opened.v1", "referral_submitted.v1"] == live.stream.types[:2]


async def test_the_same_command_again_gets_the_same_answer(clinic: Clinic) -> None:
    """A retried id is answered from its receipt, also by the next run, and nothing is appended."""
    live = await clinic.opened()
    command = ask(AcknowledgeReferral())
    first = await live.send(command)
    assert first == await live.again(command)
    await live.send(AcceptReferral())  # a phase exit: the journey goes on in a new run
    await live.settled()
    before = list(live.stream.types)

    assert first == await live.again(command)
    assert before == live.stream.types


async def test_a_receipt_that_has_left_the_snapshot_is_found_in_the_log(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old a command is, its id gets the answer it got."""
    monkeypatch.setattr(ledger, "RECEIPTS_KEPT", 1)
    live = await clinic.opened()
    refused_now, accepted_again = ask(AcknowledgeReferral()), ask(measured(68), Role.ON_CALL)
    answers = [await live.send(refused_now), await live.send(accepted_again)]
    await live.send(measured(69), Role.ON_CALL)
    await live.settled()
    before = list(live.stream.types)

    assert answers == [await live.again(old) for old in (refused_now, accepted_again)]
    assert before == live.stream.types


@pytest.mark.parametrize("receipts_kept", [64, 1])
async def test_the_same_id_with_another_body_is_refused(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, receipts_kept: int
) -> None:
    """A reused key is a client's mistake, noticed by the receipt and by the log alike."""
    monkeypatch.setattr(ledger, "RECEIPTS_KEPT", receipts_kept)
    live = await clinic.opened()
    command_id = uuid4()
    await live.send(ask(measured(68), Role.ON_CALL, command_id=command_id))
    await live.send(measured(70), Role.ON_CALL)
    before = live.stream.types.count("measurements_recorded.v1")

    assert Code.KEY_REUSED == await live.refused(ask(measured(86), Role.ON_CALL, command_id=command_id), again=True)
    assert before == live.stream.types.count("measurements_recorded.v1")


async def test_the_same_id_from_another_person_is_refused(clinic: Clinic) -> None:
    """A key belongs to who used it first: nobody is given the answer to another person's command, same words or not."""
    live = await clinic.opened()
    command = ask(measured(68), Role.ON_CALL)
    await live.send(command)
    colleague = command.actor.model_copy(update={"subject": "subject-of-a-colleague"})

    assert Code.KEY_REUSED == await live.refused(command.model_copy(update={"actor": colleague}), again=True)


def test_a_fact_is_told_apart_by_its_source() -> None:
    """Two systems that report the same words are two requests; nobody is an actor of a fact."""
    fact = FactEnvelope(fact_id="1", name="pharmacy_fill", source="pharmacy", occurred_at=day(1))

    assert request_digest(fact) == request_digest(fact.model_copy(update={"fact_id": "2"}))
    assert request_digest(fact) != request_digest(fact.model_copy(update={"source": "another"}))


@pytest.mark.parametrize(
    ("name", "body"),
    [("record_measurements", {"weight_kg": "heavy"}), ("no_such_command", {}), ("tick", {}), ("pharmacy_fill", {})],
)
async def test_what_is_no_command_leaves_no_trace(clinic: Clinic, name: str, body: dict[str, object]) -> None:
    """A malformed command, an unknown one and one of the system's own are turned away before history."""
    live = await clinic.opened()
    envelope = CommandEnvelope(command_id=uuid4(), name=name, actor=ACTORS[Role.ON_CALL], body=body)

    assert "MALFORMED" == await live.refused(envelope)
    assert 1 == (await live.event_types()).count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED")


async def test_a_payload_that_is_no_envelope_is_turned_away(clinic: Clinic) -> None:
    """Whatever is sent as an update, the journey goes on."""
    live = await clinic.opened()
    for nonsense in ([], ["text"], [None], [{"command_id": 1}]):
        with pytest.raises(WorkflowUpdateFailedError):
            await live.handle.execute_update("accept_referral", args=nonsense)

    assert 0 < (await live.send(AcknowledgeReferral())).sequence


async def test_a_refusal_is_not_recorded(clinic: Clinic) -> None:
    """You cannot do that now: a code, and no event."""
    live = await clinic.opened()
    await live.settled()
    before = list(live.stream.types)

    assert Code.ROLE == await live.refused(AcknowledgeReferral(), Role.PATIENT)
    assert Code.JOURNEY_ALREADY_OPEN == await live.refused(REFERRAL, Role.THERAPIST)
    assert before == live.stream.types


async def test_a_blocked_gate_is_recorded_and_refused(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that says no is both: an event, and a refusal; asked again, the answer is the refusal, not the event."""
    monkeypatch.setattr(ledger, "RECEIPTS_KEPT", 1)
    story = v1.prepared().fork()
    story.at(day(v1.DOSE_DAYS[0]))
    live = await clinic.resumed(story)
    command = ask(StartDosing(session_id=v1.dosing_session(story)))

    assert Code.CONSENT == await live.refused(command)
    assert "gates_evaluated.v1" in live.stream.types[len(story.records) :]
    await live.send(measured(70), Role.ON_CALL)
    await live.settled()
    before = list(live.stream.types)
    assert Code.CONSENT == await live.refused(command, again=True)
    assert before == live.stream.types


def measured(weight_kg: float) -> RecordMeasurements:
    """A measurement, which may be taken any number of times."""
    return RecordMeasurements(weight_kg=weight_kg, height_cm=168)
