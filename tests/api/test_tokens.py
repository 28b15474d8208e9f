"""Only a fresh access token of the one issuer, for this audience, signed with a key that it publishes, lets in."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jwt
import pytest

from api.auth import IssuerUnavailableError, TokenVerifier
from api.problems import ProblemError
from domain.envelope import Role
from tests.api.conftest import Api
from tests.api.issuer import AUDIENCE, ISSUER, Issuer, bearer, rsa_key

NOW = int(time.time())


@pytest.fixture
async def issuer() -> Issuer:
    """Give an issuer with one key."""
    return Issuer()


@pytest.fixture
async def client(issuer: Issuer) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client to it."""
    async with issuer.client() as client:
        yield client


async def test_a_good_token_names_its_person(issuer: Issuer, client: httpx2.AsyncClient) -> None:
    """Subject, roles in their order (never the system's), credential, time and methods are what the token says."""
    token = issuer.token("prescriber", "wizard", "system", "outside", "on_call", amr=["pwd", "otp"], iat=NOW - 60)

    principal = await TokenVerifier(ISSUER, AUDIENCE, client).verify(token)

    assert ("subject-1", (Role.PRESCRIBER, Role.ON_CALL)) == (principal.subject, principal.roles)
    assert ("MD", ("pwd", "otp")) == (principal.credential, principal.methods)
    assert NOW - 60 == principal.authenticated_at.timestamp()


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 60},
        {"iat": NOW + 3600},
        {"nbf": NOW + 3600},
        {"iss": "https://other.example"},
        {"aud": "another-api"},
        {"token_use": "id"},
        {"sub": ""},
        {"sub": "with space"},
        {"sub": 7},
        {"iat": "yesterday"},
        {"auth_time": "yesterday"},
        *({"drop": claim} for claim in ("exp", "iat", "sub", "aud", "iss")),
        {"kid": "unheard-of"},
    ],
)
async def test_a_token_with_anything_wrong_is_refused(api: Api, claims: dict[str, Any]) -> None:
    """Expired, early, foreign, for somebody else, an ID token, incomplete, or signed by a stranger: 401."""
    answer = await api.http.get("/worklist", headers=bearer(api.issuer.token("coordinator", **claims)))

    assert (401, "NOT_AUTHENTICATED") == (answer.status_code, answer.json()["code"])
    assert 'Bearer realm="alliance", error="invalid_token"' == answer.headers["www-authenticate"]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "PS256"])
async def test_only_the_agreed_algorithm_counts(api: Api, algorithm: str) -> None:
    """An unsigned token, one signed with the public key as a password, and one under another algorithm are refused."""
    claims = jwt.decode(api.issuer.token("coordinator"), options={"verify_signature": False})
    # The modulus stands for the public key: the library does not sign with one in any of its usual forms.
    public = rsa_key("first").public_key().public_numbers().n.to_bytes(256, "big")
    secret: Any = {"none": None, "HS256": public, "PS256": rsa_key("first")}[algorithm]
    token = jwt.encode(claims, secret, algorithm, {"kid": "key-1"})

    assert 401 == (await api.http.get("/worklist", headers=bearer(token))).status_code


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.e30", "€", "a" * 20_000])
async def test_what_is_no_token_is_refused(api: Api, token: str) -> None:
    """Garbage is a 401, not an error of ours."""
    answer = await api.http.get("/worklist", headers={b"Authorization": f"Bearer {token}".encode()})

    assert 401 == answer.status_code


async def test_a_foreign_key_under_a_known_id_is_refused(api: Api) -> None:
    """The signature is checked, not the name of the key."""
    stranger = Issuer()
    stranger.published = {"key-1": rsa_key("foreign")}

    assert 401 == (await api.http.get("/worklist", headers=bearer(stranger.token("coordinator")))).status_code


async def test_a_new_key_is_found_and_strangers_cannot_make_us_ask_often(
    issuer: Issuer, client: httpx2.AsyncClient
) -> None:
    """An unknown key id makes us ask the issuer again, at most once in ten seconds."""
    clock = [0.0]
    verifier = TokenVerifier(ISSUER, AUDIENCE, client, lambda: clock[0])
    await verifier.verify(issuer.token("patient"))
    issuer.published["key-2"] = rsa_key("second")
    renewed = issuer.token("patient", kid="key-2")
    for _ in range(3):
        with pytest.raises(ProblemError):
            await verifier.verify(renewed)
    assert 2 == issuer.asked  # discovery and keys, once

    clock[0] = 11.0

    assert "subject-1" == (await verifier.verify(renewed)).subject
    assert 4 == issuer.asked


async def test_a_withdrawn_key_stops_working(issuer: Issuer, client: httpx2.AsyncClient) -> None:
    """Keys are read anew every hour, so what the issuer takes back is refused."""
    clock = [0.0]
    verifier = TokenVerifier(ISSUER, AUDIENCE, client, lambda: clock[0])
    token = issuer.token("patient")
    await verifier.verify(token)
    issuer.published = {"key-2": rsa_key("second")}
    clock[0] = 3601.0

    with pytest.raises(ProblemError) as refused:
        await verifier.verify(token)

    assert 401 == refused.value.status


async def test_an_issuer_that_is_down_locks_out_newcomers_only(issuer: Issuer, client: httpx2.AsyncClient) -> None:
    """Without any keys it is a 503; with keys that are an hour old, those who are signed in stay."""
    clock = [0.0]
    verifier = TokenVerifier(ISSUER, AUDIENCE, client, lambda: clock[0])
    token = issuer.token("patient")
    issuer.is_down = True
    with pytest.raises(ProblemError) as refused:
        await verifier.verify(token)
    assert (503, "IDENTITY_PROVIDER_DOWN") == (refused.value.status, refused.value.code)

    issuer.is_down, clock[0] = False, 20.0
    await verifier.verify(token)
    issuer.is_down, clock[0] = True, 4000.0

    assert "subject-1" == (await verifier.verify(token)).subject


@pytest.mark.parametrize("wrong", ["down", "announces"])
async def test_a_wrong_issuer_is_noticed_at_the_start(issuer: Issuer, client: httpx2.AsyncClient, wrong: str) -> None:
    """A process that could let nobody in does not start, and says which setting to check."""
    issuer.is_down = wrong == "down"
    issuer.announces = f"{ISSUER}/"

    with pytest.raises(IssuerUnavailableError, match="ALLIANCE_OIDC_ISSUER"):
        await TokenVerifier(ISSUER, AUDIENCE, client).start()


async def test_a_short_key_is_not_used(issuer: Issuer, client: httpx2.AsyncClient) -> None:
    """A key below 2048 bits is no key, though the issuer publishes it."""
    issuer.published = {"key-1": rsa_key("short", 1024)}
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = issuer.token("patient")

    with pytest.raises(ProblemError) as refused:
        await TokenVerifier(ISSUER, AUDIENCE, client).verify(token)

    assert 401 == refused.value.status
    assert json.dumps(token) not in refused.value.detail
