"""How to start an identity provider: ``nanoidp``, a real OpenID Connect provider that signs RS256 tokens.

Its tokens carry the login name as ``sub``, so people log in under their opaque subject: no token, log or audit entry
holds a name. Whoever offers friendly user names maps them first (``people``).
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

HOST = "127.0.0.1"
CLIENT_ID = "clinic-portal"
"""A public client: a password grant needs no client secret."""
PEOPLE_FILE = "people.json"


@dataclass(frozen=True)
class Person:
    """Somebody who can log in. ``subject`` is an opaque UUID; an empty ``password`` is drawn once per state dir."""

    subject: str
    username: str
    password: str
    roles: tuple[str, ...]
    credential: str | None = None


def issuer(port: int) -> str:
    return f"http://{HOST}:{port}"


def jwks_url(port: int) -> str:
    return f"{issuer(port)}/.well-known/jwks.json"


def identity_ready_url(port: int) -> str:
    """Answers 200 (the OpenID configuration) once the provider is ready."""
    return f"{issuer(port)}/.well-known/openid-configuration"


def token_request(port: int, person: Person) -> tuple[str, dict[str, str]]:
    """Give the URL and form fields of a password grant for ``person``: POST them, read ``access_token``."""
    form = {"grant_type": "password", "client_id": CLIENT_ID, "username": person.subject, "password": person.password}
    return f"{issuer(port)}/token", form | {"scope": "openid"}


def people(state_dir: Path) -> tuple[Person, ...]:
    """Who was enrolled in ``state_dir``, passwords included. Raises FileNotFoundError before the first start."""
    rows = json.loads((state_dir / PEOPLE_FILE).read_text())
    return tuple(Person(**{**row, "roles": tuple(row["roles"])}) for row in rows)


def identity_command(
    state_dir: Path, port: int, audience: str, users: Sequence[Person], *, token_minutes: int = 480
) -> tuple[list[str], dict[str, str]]:
    """Enrol ``users`` and write the provider's settings; its argv and the environment variables to add.

    Signing keys and drawn passwords stay in ``state_dir``, so a restart keeps tokens and passwords valid.
    """
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    enrolled = _enrol(state_dir, users)
    _write_private(state_dir / "users.yaml", {"config_version": 1, "users": {p.subject: _user(p) for p in enrolled}})
    _write_private(state_dir / "settings.yaml", _settings(state_dir, port, audience, token_minutes))
    return [sys.executable, "-m", "nanoidp", "--config", str(state_dir), "--strict-config"], {}


def _enrol(state_dir: Path, users: Sequence[Person]) -> tuple[Person, ...]:
    """``users`` with a password each: the given one, else the one drawn before, else a new one."""
    known = {p.subject: p.password for p in people(state_dir)} if (state_dir / PEOPLE_FILE).exists() else {}
    enrolled = tuple(
        replace(p, password=p.password or known.get(p.subject) or secrets.token_urlsafe(18)) for p in users
    )
    _write_private(state_dir / PEOPLE_FILE, [asdict(p) for p in enrolled])
    return enrolled


def _user(person: Person) -> dict[str, object]:
    user: dict[str, object] = {"password": person.password, "roles": list(person.roles), "email": ""}
    if person.credential is not None:
        user["attributes"] = {"credential": person.credential}
    return user


def _settings(state_dir: Path, port: int, audience: str, token_minutes: int) -> dict[str, object]:
    client = {"client_id": CLIENT_ID, "token_endpoint_auth_method": "none", "description": "Clinic portal"}
    return {
        "config_version": 1,
        "server": {"host": HOST, "port": port},
        "oauth": {
            "issuer": issuer(port),
            "audience": audience,
            "token_expiry_minutes": token_minutes,
            "clients": [client],
        },
        "jwt": {"algorithm": "RS256", "keys_dir": str(state_dir / "keys")},
        # Its management routes would mint any token for anybody on this machine: lock them with secrets nobody has.
        "session": {
            "secret_key": secrets.token_urlsafe(32),
            "management_secret": secrets.token_urlsafe(32),
            "require_ui_login": True,
            "enforce_password_check": True,
        },
        "logging": {"level": "WARNING", "log_token_requests": False, "verbose_logging": False},
    }


def _write_private(path: Path, content: object) -> None:
    """Write JSON (which YAML readers take as well) that only the owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
