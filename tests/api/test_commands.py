"""A command reaches its journey with its actor, and what comes of it reaches the client in HTTP's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from api.ports import NotRunningError, OutcomeUnknownError, RefusedError, StillWorkingError
from domain.codes import Code
from domain.envelope import AppendResult, CommandEnvelope, JourneySummary, Purpose, Role
from domain.journey import project
from store.errors import StoreUnavailableError
from tests.api.conftest import Api
from tests.domain import v1
from tests.domain.stages import REFERRAL
from workflows.ledger import request_digest

BODY = REFERRAL.model_dump(mode="json")


def _summary(*, closed: bool) -> JourneySummary:
    summary, _ = project(v1.eligible().journey)
    return summary.model_copy(update={"closed_at": datetime(2026, 2, 1, tzinfo=UTC) if closed else None})


async def test_an_accepted_command_is_answered(api: Api) -> None:
    """200 with the journey, the command, its sequence and the events, and nothing is cached."""
    key = uuid4()

    answer = await api.command("accept_referral", {}, Role.COORDINATOR, key=key)

    assert {
        "journey_id": str(api.journey_id),
        "command_id": str(key),
        "sequence": 7,
        "events": ["something_happened.v1"],
    } == answer.json()
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])


async def test_the_envelope_holds_the_verified_actor_and_the_clients_words(api: Api) -> None:
    """Who comes from the token, when and why from the headers, what from the body: only the fields that were sent."""
    key = uuid4()

    await api.command(
        "report_safety_concern",
        {"concern": "  I am not safe  "},
        Role.PATIENT,
        key=key,
        **{"Occurred-At": "2026-01-06T10:00:00-05:00", "Purpose-Of-Use": "ETREAT"},
    )

    _, envelope = api.journeys.sent[0]
    assert (key, "report_safety_concern", {"concern": "I am not safe"}) == (
        envelope.command_id,
        envelope.name,
        envelope.body,
    )
    assert ("subject-patient", Role.PATIENT, "MD") == (
        envelope.actor.subject,
        envelope.actor.role,
        envelope.actor.credential,
    )
    assert envelope.actor.authenticated_at is not None
    assert (datetime(2026, 1, 6, 15, tzinfo=UTC), Purpose.EMERGENCY_TREATMENT) == (
        envelope.occurred_at,
        envelope.purpose,
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.HOLD_SAFETY, 409),
        (Code.NOT_FOUND, 409),
        (Code.KEY_REUSED, 409),
        (Code.ROLE, 403),
        (Code.NOT_A_PARTICIPANT, 403),
        (Code.INVALID_ANSWERS, 422),
        ("MALFORMED", 422),
        (Code.LOG_STALLED, 503),
        (Code.LEDGER_DIVERGED, 503),
    ],
)
async def test_a_refusal_is_a_problem_with_its_code(api: Api, code: str, status: int) -> None:
    """The journey's code and its sentence are passed on, under the status that fits."""
    api.journeys.error = RefusedError(code, "do this instead")

    answer = await api.command("accept_referral", {}, Role.COORDINATOR)

    problem = answer.json()
    assert (status, str(code), status, str(api.journey_id)) == (
        answer.status_code,
        problem["code"],
        problem["status"],
        problem["journey_id"],
    )
    assert f"urn:alliance:problem:{code.lower()}" == problem["type"]
    assert problem["detail"].startswith("do this instead")
    assert (status == 503) == ("retry-after" in answer.headers)


@pytest.mark.parametrize("error", [OutcomeUnknownError(), StoreUnavailableError("postgres://user@host")])
async def test_an_outage_is_503_and_says_that_the_same_may_be_sent_again(api: Api, error: Exception) -> None:
    """Nobody is told yes or no when we do not know, and nothing of the outage's text gets out."""
    api.journeys.error = error

    answer = await api.command("accept_referral", {}, Role.COORDINATOR)

    assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
    assert "again" in answer.json()["detail"]
    assert "postgres" not in answer.text


async def test_a_slow_command_that_is_in_history_is_202(api: Api) -> None:
    """202 says where the answer will be; there it is found once it is in the log, and until then it is not."""
    api.journeys.error, key = StillWorkingError(), uuid4()

    answer = await api.command("accept_referral", {}, Role.COORDINATOR, key=key)
    there = api.headers(Role.COORDINATOR, key="")
    before = await api.http.get(answer.headers["location"], headers=there)
    api.log.receipts[key] = AppendResult(status="duplicate_command", first=8, last=9, chain_head="0", types=("a.v1",))
    after = await api.http.get(answer.headers["location"], headers=there)

    assert (202, "accepted") == (answer.status_code, answer.json()["status"])
    assert (404, "NOT_ANSWERED") == (before.status_code, before.json()["code"])
    assert (200, 9, ["a.v1"]) == (after.status_code, after.json()["sequence"], after.json()["events"])


@pytest.mark.parametrize(
    ("known", "closed", "expected"),
    [
        (False, False, (404, "UNKNOWN_JOURNEY")),
        (True, True, (409, "JOURNEY_CLOSED")),
        (True, False, (503, "NOT_RUNNING")),
    ],
)
async def test_why_a_journey_does_not_run(api: Api, *, known: bool, closed: bool, expected: tuple[int, str]) -> None:
    """Unknown, closed, and lost by Temporal are three different answers."""
    api.journeys.error = NotRunningError()
    if known:
        api.lists.rows[api.journey_id] = _summary(closed=closed)

    answer = await api.command("accept_referral", {}, Role.COORDINATOR)

    assert expected == (answer.status_code, answer.json()["code"])


async def test_a_journey_without_a_key_is_unknown_and_a_shredded_one_is_erased(api: Api) -> None:
    """The key store knows both, and neither is an error of ours."""
    for pile, code in ((api.keys.unknown, "UNKNOWN_JOURNEY"), (api.keys.shredded, "ERASED")):
        pile.add(api.journey_id)
        api.journeys.error = NotRunningError()
        answer = await api.command("accept_referral", {}, Role.COORDINATOR)
        pile.clear()
        assert (404, code) == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(("same", "expected"), [(True, 200), (False, 409)])
async def test_a_repeated_command_of_a_closed_journey_gets_its_answer(api: Api, *, same: bool, expected: int) -> None:
    """The log answers when no workflow can: the same request as before, another one with KEY_REUSED."""
    key = uuid4()
    await api.command("accept_referral", {}, Role.COORDINATOR, key=key)
    digest = request_digest(api.journeys.sent[0][1]) if same else "0" * 64
    api.journeys.error = NotRunningError()
    api.log.receipts[key] = AppendResult(
        status="duplicate_command", first=8, last=9, chain_head="0", types=("a.v1",), request_digest=digest
    )

    answer = await api.command("accept_referral", {}, Role.COORDINATOR, key=key)

    assert expected == answer.status_code
    assert same == ("KEY_REUSED" not in answer.text)


# --- opening -----------------------------------------------------------------------------------------------------


async def test_a_referral_opens_a_journey_once(api: Api) -> None:
    """201 with its address; the same request again is the same journey and the same command."""
    headers = api.headers(Role.COORDINATOR)

    first = await api.http.post("/journeys", json=BODY, headers=headers)
    again = await api.http.post("/journeys", json=BODY, headers=headers)

    assert (201, f"/journeys/{first.json()['journey_id']}") == (first.status_code, first.headers["location"])
    assert first.json() == again.json()
    assert 1 == len({start.journey_id for start in api.journeys.started})
    assert (0.0, False) == (api.journeys.started[0].clock_shift_seconds, api.journeys.started[0].simulated)


async def test_a_referral_that_is_in_the_log_is_answered_from_there(api: Api) -> None:
    """A retry after the journey has closed needs no workflow: 200."""
    headers = api.headers(Role.COORDINATOR)
    first = await api.http.post("/journeys", json=BODY, headers=headers)
    key = api.journeys.sent[0][1].command_id
    api.log.receipts[key] = AppendResult(status="duplicate_command", first=1, last=2, chain_head="0", types=("a.v1",))

    again = await api.http.post("/journeys", json=BODY, headers=headers)

    assert (200, 2) == (again.status_code, again.json()["sequence"])
    assert first.json()["journey_id"] == again.json()["journey_id"]
    assert 1 == len(api.journeys.started)


async def test_a_key_is_good_for_one_referral(api: Api) -> None:
    """The same key with another body is refused; with another person it is another journey."""
    key = uuid4()
    other = BODY | {"modality": "in_person"}

    first = await api.http.post("/journeys", json=BODY, headers=api.headers(Role.COORDINATOR, key=key))
    reused = await api.http.post("/journeys", json=other, headers=api.headers(Role.COORDINATOR, key=key))
    theirs = await api.http.post("/journeys", json=BODY, headers=api.headers(Role.THERAPIST, key=key))

    assert (409, "KEY_REUSED") == (reused.status_code, reused.json()["code"])
    assert 201 == theirs.status_code
    assert first.json()["journey_id"] != theirs.json()["journey_id"]


async def test_the_digest_of_a_referral_confirms_no_guess(api: Api) -> None:
    """What is remembered of a referral is keyed: whoever reads the table cannot test who was referred."""
    await api.http.post("/journeys", json=BODY, headers=api.headers(Role.COORDINATOR))

    opened = next(iter(api.keys.opened.values()))
    assert request_digest(api.journeys.sent[0][1]) != opened.request_digest


@pytest.mark.parametrize(
    ("simulated", "shift", "expected"),
    [(False, "60", 422), (True, "86400.5", 201), (True, "inf", 422), (True, "soon", 422), (True, "1e12", 422)],
)
async def test_a_clock_is_shifted_in_simulated_mode_only(
    api: Api, *, simulated: bool, shift: str, expected: int
) -> None:
    """With patients the header is refused; in simulated mode it becomes part of the journey's start."""
    settings = api.ports.settings.model_copy(update={"simulated": simulated})
    api.app.state.ports = replace(api.ports, settings=settings)
    headers = api.headers(Role.COORDINATOR) | {"Clock-Shift-Seconds": shift}

    answer = await api.http.post("/journeys", json=BODY, headers=headers)

    assert expected == answer.status_code
    assert ([(86400.5, True)] if expected == 201 else []) == [
        (start.clock_shift_seconds, start.simulated) for start in api.journeys.started
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefusedError(Code.UNDER_AGE, "INC-1"), (409, "UNDER_AGE")),
        (OutcomeUnknownError(), (503, "OUTCOME_UNKNOWN")),
        (NotRunningError(), (503, "OUTCOME_UNKNOWN")),
        (StillWorkingError(), (202, None)),
    ],
)
async def test_an_opening_can_fail_like_any_command(api: Api, error: Exception, expected: tuple[int, Any]) -> None:
    """Refused, unknown or slow: the client hears the same words as for other commands."""
    api.journeys.error = error

    answer = await api.http.post("/journeys", json=BODY, headers=api.headers(Role.COORDINATOR))

    assert expected == (answer.status_code, answer.json().get("code"))


async def test_nothing_starts_when_the_key_database_is_down(api: Api) -> None:
    """Patient, key and journey id come first; without them there is no journey."""
    api.keys.is_down = True

    answer = await api.http.post("/journeys", json=BODY, headers=api.headers(Role.COORDINATOR))

    assert 503 == answer.status_code
    assert [] == api.journeys.started


async def test_an_exception_nobody_expected_says_nothing(api: Api) -> None:
    """A bug is a 500 with a name for the occurrence and nothing of its text."""

    async def explode(envelope: CommandEnvelope) -> Any:
        raise RuntimeError(f"Ada {envelope.body}")

    api.journeys.behave = explode

    answer = await api.command("accept_referral", {}, Role.COORDINATOR)

    assert (500, "INTERNAL") == (answer.status_code, answer.json()["code"])
    assert answer.json()["instance"].startswith("urn:uuid:")
    assert "Ada" not in answer.text


@pytest.mark.parametrize("name", ["nonsense", "submit_referral", "Accept_Referral"])
async def test_a_name_that_is_no_command_is_404(api: Api, name: str) -> None:
    """Told apart from a method that does not fit, and only to who is signed in."""
    path = f"/journeys/{api.journey_id}/commands/{name}"

    unknown = await api.command(name, {}, Role.COORDINATOR)
    stranger = await api.http.post(path, json={})

    assert (404, "UNKNOWN_COMMAND") == (unknown.status_code, unknown.json()["code"])
    assert "application/problem+json" == unknown.headers["content-type"]
    assert (401, []) == (stranger.status_code, api.journeys.sent)
