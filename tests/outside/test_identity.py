"""The identity provider issues tokens that a resource server can verify, about people who have no names."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest

from outside.identity import (
    Person,
    identity_command,
    identity_ready_url,
    issuer,
    jwks_url,
    people,
    token_request,
)
from tests.outside.servers import free_port, running

AUDIENCE = "clinic-api"
PRESCRIBER = Person(str(uuid4()), "prescriber", "", ("prescriber", "on_call"), "MD")
THERAPIST = Person(str(uuid4()), "therapist", "a chosen password", ("therapist",))


@dataclass(frozen=True)
class Provider:
    port: int
    state_dir: Path

    def person(self, username: str) -> Person:
        return next(p for p in people(self.state_dir) if p.username == username)

    def log_in(self, person: Person) -> httpx2.Response:
        url, form = token_request(self.port, person)
        return httpx2.post(url, data=form, timeout=20)

    def verified(self, token: str) -> dict[str, Any]:
        key = jwt.PyJWKClient(jwks_url(self.port)).get_signing_key_from_jwt(token)
        options: Any = {"require": ["iss", "aud", "exp", "iat", "sub"]}
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=issuer(self.port), options=options
        )
        return claims


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Run the identity provider once for this module."""
    folder, port = tmp_path_factory.mktemp("identity"), free_port()
    argv, environment = identity_command(folder / "state", port, AUDIENCE, [PRESCRIBER, THERAPIST])
    with running(argv, environment, identity_ready_url(port), folder / "log"):
        yield Provider(port, folder / "state")


def test_a_token_verifies_and_names_an_opaque_subject(provider: Provider) -> None:
    """A password grant yields an RS256 token of this issuer for this audience, about the subject, with the roles."""
    claims = provider.verified(provider.log_in(provider.person("prescriber")).json()["access_token"])

    assert PRESCRIBER.subject == claims["sub"]
    assert ["prescriber", "on_call"] == claims["roles"]
    assert {"credential": "MD"} == claims["attributes"]
    assert "access" == claims["token_use"]
    assert "username" not in claims


def test_a_wrong_password_is_refused(provider: Provider) -> None:
    """Nobody logs in with another person's password."""
    stranger = Person(PRESCRIBER.subject, "prescriber", THERAPIST.password, ())

    answer = provider.log_in(stranger)

    assert (400, "invalid_grant") == (answer.status_code, answer.json()["error"])


def test_passwords_are_drawn_once_and_kept_private(tmp_path: Path) -> None:
    """A given password is kept, a missing one is drawn at random and survives a restart, and only the owner reads."""
    for _ in range(2):
        identity_command(tmp_path / "state", 1, AUDIENCE, [PRESCRIBER, THERAPIST])
    drawn, given = people(tmp_path / "state")
    identity_command(tmp_path / "state", 1, AUDIENCE, [PRESCRIBER, THERAPIST])
    identity_command(tmp_path / "other", 1, AUDIENCE, [PRESCRIBER, THERAPIST])

    assert drawn == people(tmp_path / "state")[0]
    assert THERAPIST.password == given.password
    assert drawn.password != people(tmp_path / "other")[0].password
    files = [p for p in (tmp_path / "state").iterdir() if p.is_file()]
    assert {0o600} == {stat.S_IMODE(p.stat().st_mode) for p in files}


def test_its_management_routes_mint_no_tokens(provider: Provider) -> None:
    """Nobody on this machine gets a token for somebody else without the secret that nobody has."""
    answer = httpx2.post(f"{issuer(provider.port)}/api/users/{PRESCRIBER.subject}/token", json={}, timeout=20)

    assert answer.status_code in {401, 403}
    assert "access_token" not in answer.text
