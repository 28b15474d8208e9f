"""An OpenID Connect issuer of one's own: signs what it is told to, and counts who asks for its keys."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any
from uuid import uuid4

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from domain.envelope import Role

ISSUER = "https://identity.example"
AUDIENCE = "alliance-api"


@cache
def rsa_key(name: str, bits: int = 2048) -> RSAPrivateKey:
    """Draw the key of this name, once per session."""
    del name
    return generate_private_key(65537, bits)


class Issuer:
    """Announces the keys in ``published``, by kid."""

    def __init__(self) -> None:
        self.published = {"key-1": rsa_key("first")}
        self.announces = ISSUER
        self.is_down = False
        self.asked = 0

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def token(
        self, *roles: Role | str, subject: str = "subject-1", kid: str = "key-1", drop: str = "", **claims: Any
    ) -> str:
        """Sign a token; ``claims`` are put over the usual ones, ``drop`` leaves one out."""
        now = int(time.time())
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "jti": str(uuid4()),
            "roles": [str(role) for role in roles],
            "attributes": {"credential": "MD"},
            "token_use": "access",
        } | claims
        content.pop(drop, None)
        key = self.published.get(kid) or rsa_key("foreign")
        return jwt.encode(content, key, "RS256", {"kid": kid})

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.is_down:
            return httpx2.Response(503)
        if request.url.path.endswith("openid-configuration"):
            return httpx2.Response(200, json={"issuer": self.announces, "jwks_uri": f"{ISSUER}/keys"})
        keys = [
            json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}
            for kid, key in self.published.items()
        ]
        return httpx2.Response(200, json={"keys": keys})


def bearer(token: str) -> dict[str, str]:
    """Put a token where it belongs."""
    return {"Authorization": f"Bearer {token}"}
