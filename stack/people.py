"""Who can log in to an embedded stack: one person for each role, with opaque subjects."""

from __future__ import annotations

from uuid import UUID, uuid5

from outside.identity import Person

_NAMESPACE = UUID("6d0c3f5e-8f0e-5b7e-9b53-6a0f5d1c2e90")
ROLES = ("patient", "therapist", "prescriber", "coordinator", "medical_director", "on_call", "auditor")
_CREDENTIALS = {"therapist": "LMFT", "prescriber": "MD", "medical_director": "MD", "on_call": "MD"}


def subject(username: str) -> str:
    """The opaque subject of a person of the embedded stack: the same on every machine, so that stories can name it."""
    return str(uuid5(_NAMESPACE, username))


def cast() -> tuple[Person, ...]:
    """One person for each role; the username is the role. Passwords are drawn when the stack first starts."""
    return tuple(
        Person(subject=subject(role), username=role, password="", roles=(role,), credential=_CREDENTIALS.get(role))
        for role in ROLES
    )
