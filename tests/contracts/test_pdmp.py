"""PDMP histories: counts and a class come out, and whatever is unclear is for a person to review."""

from __future__ import annotations

from typing import Any

import pytest

from activities.pdmp import Pdmp, PdmpReview
from activities.wire import OutsideUnavailableError
from domain.effects import PdmpAnswered
from runtime.http import http_client
from tests.contracts import requests
from tests.contracts.outside_world import Outside
from tests.runtime.wiretap import Wiretap

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
KETAMINE = "6130"
REVIEW = PdmpReview(prescribers_min=2, exempt_rxnorm=frozenset({KETAMINE}))
KEY = "0193e6a0-0000-7000-8000-000000000001.7.pdmp"


def dispense(**changes: Any) -> dict[str, Any]:
    """Ketamine by our own prescriber, running at the time of the query."""
    made = {"rxnorm": KETAMINE, "npi": requests.NPI, "handed_over": "2026-11-20T10:00:00Z", "days": 14} | changes
    order = {
        "resourceType": "MedicationRequest",
        "requester": {"identifier": {"system": NPI_SYSTEM, "value": made["npi"]}},
    }
    return {
        "resourceType": "MedicationDispense",
        "id": str(made),
        "contained": [order] if made["npi"] else [],
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": made["rxnorm"]}]},
        "whenHandedOver": made["handed_over"],
        "daysSupply": {"value": made["days"]},
    }


async def answer(*resources: dict[str, Any], **bundle: Any) -> PdmpAnswered:
    """What comes of a history with these entries."""
    history = {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources], **bundle}
    async with http_client("http://pdmp.example", timeout_seconds=1, transport=Wiretap(200, history)) as client:
        outcome = await Pdmp(client, REVIEW).send(KEY, requests.query())
    assert isinstance(outcome, PdmpAnswered)
    return outcome


async def test_overlap_at_the_real_counterpart(outside: Outside) -> None:
    """A benzodiazepine and an opioid by two others: two prescribers, overlapping, review, for the states asked."""
    (await outside.control.post("/pdmp/control/scenario", json={"scenario": "overlap"})).raise_for_status()
    async with http_client(f"{outside.url}/pdmp", timeout_seconds=2) as client:
        found = await Pdmp(client, REVIEW).send(KEY, requests.query())

    assert found == PdmpAnswered(query_id=KEY, states=("NY", "NJ"), outcome="review", prescribers=2, overlapping=True)


async def test_nothing_on_record_is_clear() -> None:
    """An empty history."""
    assert ("clear", 0, False) == facts(await answer())


def facts(found: PdmpAnswered) -> tuple[str, int, bool]:
    """The part of an answer that differs."""
    return found.outcome, found.prescribers, found.overlapping


async def test_own_prescription_is_clear() -> None:
    """The patient's running supply of what we prescribe ourselves is no surprise."""
    assert ("clear", 1, False) == facts(await answer(dispense()))


async def test_expired_supply_does_not_overlap() -> None:
    """A supply that ran out before the query counts its prescriber only."""
    assert ("clear", 1, False) == facts(
        await answer(dispense(rxnorm="596", handed_over="2026-11-01T10:00:00Z", days=7))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"rxnorm": "596"},
        {"rxnorm": None},
        {"npi": "1093817465"},
        {"rxnorm": "596", "days": None},
        {"rxnorm": "596", "handed_over": "last week"},
        {"rxnorm": "596", "handed_over": "2026-11-20"},
    ],
    ids=["benzodiazepine", "no code", "ketamine by another", "no length", "no date", "no zone"],
)
async def test_whatever_may_overlap_is_reviewed(changes: dict[str, Any]) -> None:
    """A running or unreadable supply that is not our own prescription overlaps."""
    assert ("review", 1, True) == facts(await answer(dispense(**changes)))


async def test_nameless_drug_is_reviewed() -> None:
    """Our own dispense without a word about the drug is not taken for the one we expect."""
    nameless = dispense()
    del nameless["medicationCodeableConcept"]

    assert ("review", 1, True) == facts(await answer(nameless))


async def test_two_prescribers_are_reviewed() -> None:
    """Two prescribers are for review even when nothing runs any more; one who is not named is one more."""
    old = {"rxnorm": "596", "handed_over": "2026-01-01T10:00:00Z"}

    assert ("review", 2, False) == facts(await answer(dispense(**old), dispense(**old, npi="1093817465")))
    assert ("review", 2, False) == facts(await answer(dispense(**old), dispense(**old, npi=None)))


async def test_partial_history_is_reviewed() -> None:
    """A second page, or an entry of a kind we do not know, may hide something."""
    paged = await answer(link=[{"relation": "next", "url": "http://pdmp.example/2"}])
    strange = await answer({"resourceType": "OperationOutcome"})

    assert ("review", 0, False) == facts(paged)
    assert ("review", 0, False) == facts(strange)


@pytest.mark.parametrize("body", [None, [], {"resourceType": "Patient"}, {"entry": [1]}])
async def test_unreadable_answer_is_no_answer(body: Any) -> None:
    """What is no history is not taken for an empty one."""
    async with http_client("http://pdmp.example", timeout_seconds=1, transport=Wiretap(200, body)) as client:
        with pytest.raises(OutsideUnavailableError, match="unreadable"):
            await Pdmp(client, REVIEW).send(KEY, requests.query())
