"""Who is asking: verifies tokens of one OpenID Connect issuer against the keys that it publishes.

Only the verdict travels on (architecture D16): subject, roles, credential, when and how they authenticated.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import jwt
import structlog
from jwt.algorithms import RSAAlgorithm

from api.problems import ProblemError, unavailable
from domain.envelope import Role
from domain.values import Instant, Value

log = structlog.get_logger(__name__)

_REQUIRED: Final = ["exp", "iat", "sub", "aud", "iss"]
_PERSONAL: Final = frozenset(Role) - {Role.SYSTEM, Role.OUTSIDE}
"""Roles that a token can give. No person is the system, whatever a token says."""
_SUBJECT = re.compile(r"[\x21-\x7e]{1,200}")
_TOKEN_MAX: Final = 16_384
_LEEWAY_SECONDS: Final = 10
_REFETCH_AFTER_SECONDS: Final = 10.0
_KEYS_MAX_AGE_SECONDS: Final = 3600.0
_RSA_BITS_MIN: Final = 2048


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be read. The message says what to check."""

    def __init__(self) -> None:
        super().__init__(
            "The identity provider's keys cannot be read, so nobody can be let in: check that it runs and that "
            "ALLIANCE_OIDC_ISSUER is exactly the issuer that it announces."
        )


class Principal(Value):
    """A verified person. ``roles`` in the order of the token, those known here only."""

    subject: str
    roles: tuple[Role, ...]
    credential: str | None = None
    authenticated_at: Instant
    methods: tuple[str, ...] = ()


def not_authenticated(detail: str, error: str | None = None) -> ProblemError:
    """401, with the challenge of RFC 6750."""
    challenge = 'Bearer realm="alliance"' + (f', error="{error}"' if error else "")
    return ProblemError(401, "NOT_AUTHENTICATED", detail, headers={"WWW-Authenticate": challenge})


class TokenVerifier:
    """Verifies access tokens. ``client`` is for the issuer's discovery document and keys; the caller closes it."""

    def __init__(
        self, issuer: str, audience: str, client: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = _IssuerKeys(issuer, client, clock)

    async def start(self) -> None:
        """Fetch the issuer's keys now, to find a wrong address at the start. Raises IssuerUnavailableError."""
        await self._keys.fetch()

    async def verify(self, token: str) -> Principal:
        """Verify a token. Raises ProblemError: 401, or 503 when the issuer's keys cannot be had."""
        if len(token) > _TOKEN_MAX:
            raise _invalid()
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise _invalid() from None
        kid = header.get("kid")
        key = await self._keys.find(kid) if isinstance(kid, str) and header.get("alg") == "RS256" else None
        if key is None:
            raise _invalid()
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise not_authenticated("The token has expired. Sign in again.", "invalid_token") from None
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise _invalid() from None
        return _principal(claims)


def _invalid() -> ProblemError:
    return not_authenticated("The token is not one of ours. Sign in with this service's provider.", "invalid_token")


def _principal(claims: dict[str, Any]) -> Principal:
    subject, roles = claims["sub"], claims.get("roles")
    if claims.get("token_use", "access") != "access" or not _SUBJECT.fullmatch(subject):
        raise _invalid()
    attributes, methods = claims.get("attributes"), claims.get("amr")
    credential = attributes.get("credential") if isinstance(attributes, dict) else None
    authenticated = claims.get("auth_time", claims["iat"])
    try:
        at = datetime.fromtimestamp(float(authenticated), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise _invalid() from None
    return Principal(
        subject=subject,
        roles=tuple(Role(role) for role in _texts(roles) if role in _PERSONAL),
        credential=credential[:64] if isinstance(credential, str) else None,
        authenticated_at=at,
        methods=_texts(methods),
    )


def _texts(claim: object) -> tuple[str, ...]:
    return tuple(item for item in claim if isinstance(item, str)) if isinstance(claim, list) else ()


class _IssuerKeys:
    """The issuer's RSA keys by id. An unknown id is looked up again, but not as often as a stranger may ask."""

    def __init__(self, issuer: str, client: httpx2.AsyncClient, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id, or None when the issuer has none. Raises ProblemError 503 when no keys are known."""
        if self._must_ask(kid):
            async with self._lock:
                if self._must_ask(kid):
                    await self._refresh()
        if self._fetched_at is None:
            raise unavailable(f"{IssuerUnavailableError()} Then send it again.", "IDENTITY_PROVIDER_DOWN")
        return self._keys.get(kid)

    def _must_ask(self, kid: str) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < _REFETCH_AFTER_SECONDS:
            return False
        return kid not in self._keys or self._fetched_at is None or now - self._fetched_at > _KEYS_MAX_AGE_SECONDS

    async def _refresh(self) -> None:
        try:
            await self.fetch()
        except IssuerUnavailableError:
            # Keys already known stay good: an issuer that is down must not lock out those who are signed in.
            log.warning("issuer_keys_not_fetched", count=len(self._keys))

    async def fetch(self) -> None:
        """Read the keys anew. Raises IssuerUnavailableError, and keeps those that it has."""
        self._tried_at = self._clock()
        try:
            discovery = await self._json(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if discovery["issuer"] != self._issuer:
                raise IssuerUnavailableError
            keys = (await self._json(discovery["jwks_uri"]))["keys"]
            self._keys = {key["kid"]: jwt.PyJWK(key, "RS256") for key in keys if _usable(key)}
        except (httpx2.HTTPError, httpx2.InvalidURL, jwt.PyJWTError, ValueError, KeyError, TypeError):
            raise IssuerUnavailableError from None
        self._fetched_at = self._clock()

    async def _json(self, url: str) -> Any:
        response = await self._client.get(url)
        response.raise_for_status()
        return response.json()


def _usable(key: dict[str, Any]) -> bool:
    if key.get("kty") != "RSA" or key.get("use", "sig") != "sig" or not isinstance(key.get("kid"), str):
        return False
    return RSAAlgorithm.from_jwk(key).key_size >= _RSA_BITS_MIN
