"""Facts: what outside systems report has happened, so it is taken, whenever it comes, once."""

from __future__ import annotations

import pytest

from domain.envelope import FactEnvelope
from domain.journey.dispensing import PharmacyStatusReceived
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from runtime.names import JOURNEY_WORKFLOW, JOURNEYS
from tests.workflows.asking import eventually
from tests.workflows.clinic import Clinic
from workflows import facts
from workflows.journey import NUDGE

ANOMALY = "pharmacy_anomaly_recorded.v1"
SURPRISE = PharmacyStatusReceived(key="nobody-asked", code="010", accepted=True)


async def test_a_surprising_fact_is_recorded(clinic: Clinic) -> None:
    """A message about a prescription that does not exist is kept for a person to look at."""
    live = await clinic.opened()

    await live.report(SURPRISE, "message-1")

    await live.logged(ANOMALY)


async def test_the_same_fact_twice_is_one_fact(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redelivered message changes nothing, also when only the log remembers it."""
    monkeypatch.setattr(facts, "FACTS_KEPT", 2)
    live = await clinic.opened()
    for fact_id in ("message-1", "message-1", "message-2", "message-3", "message-1", "message-4"):
        await live.report(SURPRISE, fact_id)

    await eventually(lambda: 4 == live.stream.types.count(ANOMALY))
    await live.send(AcknowledgeReferral())  # everything before it was taken
    assert 4 == live.stream.types.count(ANOMALY)


async def test_a_fact_that_comes_before_the_referral_waits_for_it(clinic: Clinic) -> None:
    """A journey that is not open yet loses no fact and fails for none."""
    live = clinic.journey()
    await clinic.client.start_workflow(JOURNEY_WORKFLOW, live.start, id=live.handle.id, task_queue=JOURNEYS)
    await live.report(SURPRISE, "message-1")
    await live.open()

    await live.logged(ANOMALY)
    assert ["journey_opened.v1", "referral_submitted.v1", ANOMALY] == live.stream.types[:3]


async def test_a_fact_that_this_build_cannot_read_is_handed_to_the_next_run(clinic: Clinic) -> None:
    """It stops nothing, and travels in the snapshot until a build can read it."""
    live = await clinic.opened()
    at = live.stream.records[0].header.recorded_at
    unknown = FactEnvelope(fact_id="message-1", name="telepathy_received", source="future", occurred_at=at)
    await live.handle.signal(unknown.name, unknown)
    for nonsense in ([], ["text"], [None]):
        await live.handle.signal("nonsense", args=nonsense)
    await live.handle.signal(NUDGE)

    await live.send(AcknowledgeReferral())
    await live.send(AcceptReferral())  # a phase exit

    assert (unknown,) == (await live.handed_over()).facts_waiting


async def test_a_fact_that_arrives_while_a_run_is_leaving_is_taken(clinic: Clinic) -> None:
    """Whatever is signalled around a hand-over is in the log once, in its order."""
    live = await clinic.opened()
    await live.send(AcknowledgeReferral())
    accepted = await live.begin(AcceptReferral())  # a phase exit
    for number in range(10):
        await live.report(SURPRISE, f"message-{number}")
    await accepted.result()

    await eventually(lambda: 10 == live.stream.types.count(ANOMALY))

    assert await live.handed_over()
