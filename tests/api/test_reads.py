"""A reader sees what domain.md §8.3 lets the role see, and every read is logged without content."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.envelope import Role, WorklistItem
from domain.journey import project
from store.projections import JourneyItem
from tests.api.conftest import Api
from tests.domain import v1

IDENTIFIERS = ("Ada", "Example", "1987-06-01", "ada@example.org", "Recurrent")


async def _read(api: Api, role: Role, path: str = "", **query: Any) -> Any:
    answer = await api.http.get(
        f"/journeys/{api.journey_id}{path}", headers=api.headers(role, key=""), params=query or None
    )
    assert 200 == answer.status_code
    return answer.json()


async def test_the_state_is_the_fold_of_the_log(api: Api) -> None:
    """The prescriber reads the whole journey as the domain folds it, with its summary and worklist."""
    journey = v1.eligible().journey
    summary, items = project(journey)

    view = await _read(api, Role.PRESCRIBER)

    assert (journey.version, journey.stage, "prescriber") == (view["version"], view["stage"], view["seen_as"])
    assert summary.model_dump(mode="json", exclude_none=True) == view["summary"]
    assert [item.key for item in items] == [item["key"] for item in view["worklist"]]
    assert journey.eligibility.model_dump(mode="json") == view["state"]["eligibility"]


async def test_a_coordinator_sees_codes_and_dates_alone(api: Api) -> None:
    """Summary and worklist, and nobody's name or score."""
    view = await _read(api, Role.COORDINATOR)

    assert {"journey_id", "seen_as", "version", "stage", "summary", "worklist"} == set(view)
    assert not any(identifier in json.dumps(view) for identifier in IDENTIFIERS)


async def test_an_auditor_sees_proofs_alone(api: Api) -> None:
    """Version and chain head; ids and hashes in the timeline; no summary, no state, no key needed."""
    api.keys.shredded.add(api.journey_id)

    view, timeline = await _read(api, Role.AUDITOR), await _read(api, Role.AUDITOR, "/timeline")

    assert {"journey_id", "seen_as", "version", "proof"} == set(view)
    assert "ab" * 32 == view["proof"]["chain_head"]
    assert view["version"] == len(timeline["entries"])
    assert {"event_id", "command_id", "hash"} <= set(timeline["entries"][0])
    assert not any(identifier in json.dumps([view, timeline]) for identifier in IDENTIFIERS)


async def test_a_therapist_sees_dose_and_route_but_no_prescription_details(api: Api) -> None:
    """Of eligibility the outcome and its conditions; of a prescription what the session needs."""
    api.log.records[api.journey_id] = v1.drug_delivered().records

    state = (await _read(api, Role.THERAPIST))["state"]

    decision, prescriptions = state["eligibility"]["decision"], state["prescriptions"]["all"]
    assert {"outcome", "decided_at", "valid_until", "conditions", "dose_ceiling_mg"} == set(decision)
    assert {"dose_mg", "booster_mg", "max_mg_per_session", "sessions_authorised", "sig"} == set(
        prescriptions[0]["draft"]
    )
    assert {"all"} == set(state["prescriptions"])
    assert "outbox" not in state


async def test_a_patient_sees_their_own_care_and_no_judgements(api: Api) -> None:
    """Sessions, consents and totals; no hold, no tier, no criteria, no summary for ops."""
    view = await _read(api, Role.PATIENT)

    assert "summary" not in view
    assert {"patient", "sessions", "consents", "assessments", "eligibility"} <= set(view["state"])
    assert not {"holds", "safety", "observations", "care_team"} & set(view["state"])
    assert not {"tier", "item9"} & set(view["state"]["assessments"])


async def test_the_clinician_on_call_reads_while_a_case_is_open(api: Api) -> None:
    """Without an open case there is nothing to answer, so nothing to read."""
    answer = await api.http.get(f"/journeys/{api.journey_id}", headers=api.headers(Role.ON_CALL, key=""))

    assert (403, "NOT_A_PARTICIPANT") == (answer.status_code, answer.json()["code"])


async def test_the_timeline_has_every_event_once_without_content(api: Api) -> None:
    """Sequence, type, both times and the role, in order."""
    timeline = await _read(api, Role.THERAPIST, "/timeline")

    records = api.log.records[api.journey_id]
    assert [(r.header.sequence, r.header.type) for r in records] == [
        (entry["sequence"], entry["type"]) for entry in timeline["entries"]
    ]
    assert {"sequence", "type", "occurred_at", "recorded_at", "actor_role", "policy_version"} == set(
        timeline["entries"][0]
    )


async def test_the_outcomes_are_totals_over_time(api: Api) -> None:
    """One series per instrument, as the journey holds them."""
    series = (await _read(api, Role.PATIENT, "/outcomes"))["series"]

    expected = v1.eligible().journey.assessments.series
    assert {name: [point.total for point in points] for name, points in expected.items()} == {
        name: [point["total"] for point in points] for name, points in series.items()
    }


async def test_lists_pass_their_filters_on(api: Api) -> None:
    """Stage, owner and limit reach the read models; rows come back with their journey."""
    summary, _ = project(v1.eligible().journey)
    api.lists.rows[api.journey_id] = summary
    due = datetime(2026, 1, 9, tzinfo=UTC)
    item = WorklistItem(key="rx/first", code="PRESCRIBE", owner=Role.PRESCRIBER, due_at=due, overdue=True)
    api.lists.items = [JourneyItem(api.journey_id, item)]
    headers = api.headers(Role.COORDINATOR, key="")

    journeys = await api.http.get("/journeys", headers=headers, params={"stage": "preparing", "limit": 5})
    work = await api.http.get("/worklist", headers=headers, params={"owner": "prescriber"})

    assert [("preparing", 5), (Role.PRESCRIBER, 100)] == api.lists.asked
    assert [str(api.journey_id)] == [row["journey_id"] for row in journeys.json()]
    assert [(str(api.journey_id), "PRESCRIBE", True)] == [
        (row["journey_id"], row["code"], row["overdue"]) for row in work.json()
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "owner=king", "owner=patient&limit=-1"])
async def test_a_list_has_limits(api: Api, query: str) -> None:
    """What is no filter is a 422."""
    assert 422 == (await api.http.get(f"/worklist?{query}", headers=api.headers(Role.COORDINATOR))).status_code


async def test_every_read_is_logged_as_an_access(api: Api, logged: io.StringIO) -> None:
    """Who read which journey through which route, for what purpose; nothing of what was read."""
    headers = api.headers(Role.PRESCRIBER, key="", **{"Purpose-Of-Use": "HOPERAT"})
    for path in ("", "/timeline", "/outcomes"):
        await api.http.get(f"/journeys/{api.journey_id}{path}", headers=headers)

    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    accesses = [line for line in lines if line["event"] == "access_logged"]

    assert ["read_journey", "read_timeline", "read_outcomes"] == [line["operation"] for line in accesses]
    assert {("subject-prescriber", str(api.journey_id), "HOPERAT", "prescriber")} == {
        (line["subject"], line["journey_id"], line["purpose"], line["role"]) for line in accesses
    }
    assert not any(identifier in logged.getvalue() for identifier in IDENTIFIERS)
