"""Every route asks who is there before anything else, and lets in the roles that it names."""

from __future__ import annotations

from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts

from domain.envelope import Role
from domain.journey import COMMANDS
from tests.api.conftest import Api
from tests.api.issuer import bearer

OPEN = {"/healthz", "/readyz", "/metrics"}
PEOPLE = tuple(role for role in Role if role not in {Role.SYSTEM, Role.OUTSIDE})
JOURNEY = "/journeys/{journey_id}"
CARE_TEAM = {Role.PATIENT, Role.THERAPIST, Role.PRESCRIBER, Role.MEDICAL_DIRECTOR}
READS = {
    JOURNEY: {*CARE_TEAM, Role.COORDINATOR, Role.AUDITOR},
    f"{JOURNEY}/timeline": {*CARE_TEAM, Role.COORDINATOR, Role.AUDITOR},
    f"{JOURNEY}/outcomes": CARE_TEAM,
    "/journeys": {Role.COORDINATOR, Role.MEDICAL_DIRECTOR, Role.ON_CALL, Role.AUDITOR},
    "/worklist": {Role.COORDINATOR, Role.MEDICAL_DIRECTOR, Role.ON_CALL},
}
"""Who reads what, while no safety case is open (then the clinician on call reads the journey too)."""


def _routes(api: Api) -> list[tuple[str, str]]:
    described = api.app.openapi()["paths"]
    return [(method, path) for path, methods in described.items() for method in methods]


async def test_without_a_token_every_route_says_401(api: Api) -> None:
    """Nobody gets past the door without credentials, whatever else is wrong with the request."""
    closed = [(method, path) for method, path in _routes(api) if path not in OPEN]

    answers = {
        (method, path): await api.http.request(method, path.replace("{journey_id}", "not-a-uuid"))
        for method, path in closed
    }

    assert {401} == {answer.status_code for answer in answers.values()}
    assert all("www-authenticate" in answer.headers for answer in answers.values())
    assert {"application/problem+json"} == {answer.headers["content-type"] for answer in answers.values()}
    assert len(COMMANDS) + 8 == len(closed)  # five reads, a command's answer, the webhook, the codec


@pytest.mark.parametrize("role", PEOPLE)
async def test_a_command_is_for_its_roles(api: Api, role: Role) -> None:
    """Each command lets in exactly the roles of its registry entry; the others get 403 before the body is read."""
    path = {name: f"/journeys/{api.journey_id}/commands/{name}" for name in COMMANDS} | {"submit_referral": "/journeys"}

    let_in = {
        name
        for name in COMMANDS
        if (await api.http.post(path[name], headers=api.headers(role), content=b"{")).status_code == 422
    }

    assert {name for name, command in COMMANDS.items() if role in command.roles} == let_in


@pytest.mark.parametrize("role", PEOPLE)
@pytest.mark.parametrize("path", READS)
async def test_a_read_is_for_its_roles(api: Api, role: Role, path: str) -> None:
    """Each read answers the roles that domain.md §8.3 names and nobody else."""
    answer = await api.http.get(path.format(journey_id=api.journey_id), headers=api.headers(role, key=""))

    assert (200 if role in READS[path] else 403) == answer.status_code


@pytest.mark.parametrize("roles", [(), ("system",), ("outside",), ("root",)])
async def test_a_token_cannot_give_a_role_that_is_no_persons(api: Api, roles: tuple[str, ...]) -> None:
    """Unknown roles, and the system's own, give nothing."""
    answer = await api.command("accept_referral", {}, *roles)

    assert (403, "ROLE") == (answer.status_code, answer.json()["code"])
    assert [] == api.journeys.sent


@pytest.mark.parametrize("role", [Role.PATIENT, Role.THERAPIST, Role.PRESCRIBER])
async def test_strangers_do_not_read_a_journey(api: Api, role: Role) -> None:
    """A patient, therapist or prescriber of another journey is not let in by the role alone."""
    token = api.issuer.token(role, subject="subject-stranger")

    answer = await api.http.get(f"/journeys/{api.journey_id}", headers=bearer(token))

    assert (403, "NOT_A_PARTICIPANT") == (answer.status_code, answer.json()["code"])


async def test_somebody_with_two_roles_names_one(api: Api) -> None:
    """The first role that may is taken; Acting-Role takes another of the token's roles, and none that it lacks."""
    await api.command("answer_page", {}, Role.PRESCRIBER, Role.ON_CALL)
    await api.command("answer_page", {}, Role.PRESCRIBER, Role.ON_CALL, **{"Acting-Role": "on_call"})
    lacking = await api.command("answer_page", {}, Role.PRESCRIBER, **{"Acting-Role": "on_call"})

    assert [Role.PRESCRIBER, Role.ON_CALL] == [envelope.actor.role for _, envelope in api.journeys.sent]
    assert 403 == lacking.status_code


async def test_every_route_of_the_app_is_described(api: Api) -> None:
    """The matrix above misses no route: all are in the description but the two that show it and that of no command."""
    routed = {str(route.path) for route in iter_route_contexts(api.app.routes)}

    assert {"/docs", "/openapi.json", f"{JOURNEY}/commands/{{name}}"} == routed - {path for _, path in _routes(api)}


async def test_an_unknown_journey_is_404_for_everybody_who_may_read(api: Api) -> None:
    """A journey that is not there is not found, also for an auditor."""
    api.keys.unknown.add(missing := uuid4())

    for role in (Role.COORDINATOR, Role.AUDITOR):
        answer = await api.http.get(f"/journeys/{missing}", headers=api.headers(role, key=""))
        assert (404, "UNKNOWN_JOURNEY") == (answer.status_code, answer.json()["code"])
