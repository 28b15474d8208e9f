"""What is malformed leaves no trace, and its answer says where, and never what."""

from __future__ import annotations

from typing import Any

import pytest

from api.bodies import COMMAND_BYTES_MAX
from domain.envelope import Role
from tests.api.conftest import Api
from tests.domain.stages import REFERRAL

SECRET = "Rosebud-1941"
"""Stands wherever a value can stand, and must come back nowhere."""


@pytest.mark.parametrize(
    ("name", "body", "loc", "kind"),
    [
        ("submit_gate_form", {"phq9_item9": False}, ["body", "phq9_item9"], "int_type"),
        ("submit_gate_form", {"phq9_item9": "1"}, ["body", "phq9_item9"], "int_type"),
        ("submit_gate_form", {"phq9_item9": 1.0}, ["body", "phq9_item9"], "int_type"),
        ("submit_gate_form", {"phq9_item9": 4}, ["body", "phq9_item9"], "less_than_equal"),
        ("submit_gate_form", {"phq9_item9": 0, "note": SECRET}, ["body", "note"], "extra_forbidden"),
        ("submit_gate_form", {"phq9_item9": 0, f"{SECRET} is ill": 1}, ["body", "?"], "extra_forbidden"),
        ("submit_gate_form", {}, ["body", "phq9_item9"], "missing"),
        ("submit_gate_form", None, ["body"], "model_type"),
        ("submit_gate_form", [SECRET], ["body"], "model_type"),
        ("submit_gate_form", b'{"phq9_item9": 3, "phq9_item9": 0}', ["body"], "json_invalid"),
        ("submit_gate_form", b'{"phq9_item9": NaN}', ["body"], "json_invalid"),
        ("submit_gate_form", b'{"phq9_item9": 9007199254740993}', ["body"], "json_invalid"),
        ("submit_gate_form", b'{"phq9_item9": ' + b"9" * 9000 + b"}", ["body"], "json_invalid"),
        ("submit_gate_form", b"[" * 100_000, ["body"], "json_invalid"),
        ("submit_gate_form", b'{"phq9_item9": ' + SECRET.encode(), ["body"], "json_invalid"),
        ("submit_gate_form", b'{"\xff": 1}', ["body"], "json_invalid"),
        ("report_safety_concern", {"concern": ""}, ["body", "concern"], "string_too_short"),
        ("report_safety_concern", {"concern": 7}, ["body", "concern"], "string_type"),
        ("report_safety_concern", b'{"concern": "\\ud800"}', ["body"], "json_invalid"),
        ("complete_integration", {"session_id": SECRET}, ["body", "session_id"], "uuid_parsing"),
        ("record_dose", b'{"mg": 1e999}', ["body"], "json_invalid"),
    ],
)
async def test_a_malformed_command_is_422(api: Api, name: str, body: Any, loc: list[str], kind: str) -> None:
    """Wrong type, unknown or missing field, a key twice, a number JSON cannot carry: 422 with place and kind."""
    answer = await api.command(name, body if body is not None else b"null", Role.THERAPIST)

    problem = answer.json()
    assert (422, "MALFORMED", "application/problem+json") == (
        answer.status_code,
        problem["code"],
        answer.headers["content-type"],
    )
    assert (loc, kind) in [(error["loc"], error["type"]) for error in problem["errors"]]
    assert SECRET not in answer.text
    assert [] == api.journeys.sent


@pytest.mark.parametrize("field", ["patient", "therapist", "diagnosis_icd10", "modality", "protocol", "alliance_since"])
async def test_no_value_of_a_referral_comes_back(api: Api, field: str) -> None:
    """Whatever field is wrong, the answer does not quote the person it is about."""
    body = REFERRAL.model_dump(mode="json") | {field: {"name": SECRET}}

    answer = await api.http.post("/journeys", json=body, headers=api.headers(Role.COORDINATOR))

    assert 422 == answer.status_code
    assert SECRET not in answer.text
    assert "Ada" not in answer.text
    assert {} == api.keys.opened


async def test_a_time_zone_that_does_not_exist_is_422(api: Api) -> None:
    """The zone is looked up while the request is read, and its name is not quoted."""
    body = REFERRAL.model_dump(mode="json")
    body["patient"]["time_zone"] = f"America/{SECRET}"

    answer = await api.http.post("/journeys", json=body, headers=api.headers(Role.COORDINATOR))

    assert 422 == answer.status_code
    assert SECRET not in answer.text


async def test_a_body_has_a_limit(api: Api) -> None:
    """A body over 256 KiB is refused while it comes in."""
    answer = await api.command("report_safety_concern", b" " * (COMMAND_BYTES_MAX + 1), Role.PATIENT)

    assert (413, "TOO_LARGE") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Idempotency-Key", ""),
        ("Idempotency-Key", SECRET),
        ("Occurred-At", "yesterday"),
        ("Occurred-At", "2026-01-06T10:00:00"),
        ("Occurred-At", "1767690000"),
        ("Occurred-At", "2026-13-06T10:00:00Z"),
        ("Occurred-At", "0001-01-01T00:00:00+14:00"),
        ("Purpose-Of-Use", "CURIOSITY"),
        ("Acting-Role", "king"),
    ],
)
async def test_a_malformed_header_is_422(api: Api, header: str, value: str) -> None:
    """Headers are as strict as bodies, and are not quoted either."""
    answer = await api.command("accept_referral", {}, Role.COORDINATOR, **{header: value})

    assert (422, ["header", header.lower()]) == (
        answer.status_code,
        [part.lower() for part in answer.json()["errors"][0]["loc"]],
    )
    assert SECRET not in answer.text
    assert [] == api.journeys.sent


async def test_a_missing_key_is_422(api: Api) -> None:
    """A write without an Idempotency-Key is refused."""
    answer = await api.http.post(
        f"/journeys/{api.journey_id}/commands/accept_referral", json={}, headers=api.headers(Role.COORDINATOR, key="")
    )

    assert (422, "missing") == (answer.status_code, answer.json()["errors"][0]["type"])


async def test_a_command_without_fields_needs_no_body(api: Api) -> None:
    """An empty body is an empty command, and arrives as one."""
    answer = await api.command("accept_referral", b"", Role.COORDINATOR)

    assert 200 == answer.status_code
    assert {} == api.journeys.sent[0][1].body


async def test_a_journey_id_that_is_none_is_422(api: Api) -> None:
    """The path is checked like the rest."""
    answer = await api.http.get(f"/journeys/{SECRET}", headers=api.headers(Role.COORDINATOR, key=""))

    assert (422, [["path", "journey_id"]]) == (
        answer.status_code,
        [error["loc"] for error in answer.json()["errors"]],
    )
    assert "`" not in answer.text  # how pydantic quotes the character that it stumbled over
