"""May they: the roles of a request, and what each role sees of a journey (domain.md §8.3).

The journey itself decides who takes part in it; this only keeps out who cannot, and answers reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, Final, cast
from uuid import UUID

import structlog
from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth import Principal, not_authenticated
from api.ports import Ports
from api.problems import ProblemError
from domain.envelope import Actor, Purpose, Role
from domain.journey import Journey

log = structlog.get_logger(__name__)

BEARER: Final = HTTPBearer(auto_error=False, bearerFormat="JWT", description="An access token of the OIDC issuer.")

PurposeOfUse = Annotated[
    Purpose, Header(alias="Purpose-Of-Use", description="HL7 v3 PurposeOfUse, recorded with what is done or read.")
]
ActingRole = Annotated[
    Role | None,
    Header(
        alias="Acting-Role",
        description="In which of the token's roles this is done, for somebody who has several. "
        "Left out: the first of them that may.",
    ),
]


def ports_of(request: Request) -> Ports:
    """Give what this process opened when it started."""
    return cast("Ports", request.app.state.ports)


PortsOf = Annotated[Ports, Depends(ports_of)]


async def authenticated(
    ports: PortsOf, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Principal:
    """Verify the request's token. Raises ProblemError 401 or 503."""
    if bearer is None:
        raise not_authenticated("Send a token: Authorization: Bearer <access token of the identity provider>.")
    return await ports.tokens.verify(bearer.credentials)


Authenticated = Annotated[Principal, Depends(authenticated)]


def allowed(principal: Principal, roles: Iterable[Role], acting: Role | None) -> tuple[Role, ...]:
    """Give those of the principal's roles that may do this, in the token's order. Raises ProblemError 403."""
    may = frozenset(roles)
    found = tuple(role for role in principal.roles if role in may and acting in {None, role})
    if not found:
        raise ProblemError(403, "ROLE", f"This is done by: {', '.join(sorted(may))}.")
    return found


def acting_as(roles: frozenset[Role]) -> Callable[..., Awaitable[Actor]]:
    """Make the dependency that lets these roles in and gives the verified actor."""

    async def actor(principal: Authenticated, acting_role: ActingRole = None) -> Actor:
        role, *_ = allowed(principal, roles, acting_role)
        return Actor(
            subject=principal.subject,
            role=role,
            credential=principal.credential,
            authenticated_at=principal.authenticated_at,
            methods=principal.methods,
        )

    return actor


def note_access(operation: str, actor: Actor, purpose: Purpose, journey_id: UUID | None, count: int = 1) -> None:
    """Record that somebody read something: every read, no content (domain.md §8.2.7)."""
    ids = {} if journey_id is None else {"journey_id": journey_id}
    log.info(
        "access_logged",
        operation=operation,
        subject=actor.subject,
        role=actor.role,
        purpose=purpose,
        count=count,
        **ids,
    )


EVERYTHING: Final = True
NOTHING: Final[dict[str, Any]] = {}

_DECISION: Final = {"outcome": True, "decided_at": True, "valid_until": True}
_SAFETY: Final = {"open_case": {"case_id": True, "opened_at": True, "tier": True, "answered_at": True}}

SEES: Final[dict[Role, dict[str, Any]]] = {
    Role.PATIENT: {
        "patient": EVERYTHING,
        "sessions": EVERYTHING,
        "onboarding": EVERYTHING,
        "consents": EVERYTHING,
        "assessments": {"answered", "series"},
        "eligibility": {"decision": _DECISION},
        "prescriptions": {"all": {"__all__": {"rx_id", "status", "draft", "expires_on", "delivered_at"}}},
        "follow_ups": {"last_at"},
    },
    Role.THERAPIST: {
        "patient": EVERYTHING,
        "care_team": EVERYTHING,
        "referral": EVERYTHING,
        "sessions": EVERYTHING,
        "onboarding": EVERYTHING,
        "consents": EVERYTHING,
        "therapy": EVERYTHING,
        "dosing": EVERYTHING,
        "observations": {"readings"},
        "assessments": {"answered", "series", "item9", "item9_at", "tier", "tier_at"},
        "outcomes": EVERYTHING,
        "eligibility": {"decision": {**_DECISION, "conditions": True, "dose_ceiling_mg": True}},
        "prescriptions": {
            "all": {
                "__all__": {
                    "rx_id": True,
                    "status": True,
                    "draft": {"dose_mg", "booster_mg", "max_mg_per_session", "sessions_authorised", "sig"},
                    "beyond_use_on": True,
                    "sessions_used": True,
                }
            }
        },
        "follow_ups": {"last_at", "last_decision"},
        "holds": EVERYTHING,
        "safety": _SAFETY,
    },
    Role.PRESCRIBER: dict.fromkeys(Journey.model_fields.keys() - {"outbox", "clocks"}, EVERYTHING),
    Role.MEDICAL_DIRECTOR: dict.fromkeys(Journey.model_fields.keys() - {"outbox", "clocks"}, EVERYTHING),
    Role.ON_CALL: dict.fromkeys(Journey.model_fields.keys() - {"outbox", "clocks"}, EVERYTHING),
    Role.COORDINATOR: NOTHING,
}
"""What each role sees of the state, as pydantic's ``include``: the patient's own, the therapist's and prescriber's
own patients, the clinician on call while a safety case is open, and codes and dates alone for the coordinator. The
auditor is not here: proofs need no content."""


def takes_part(journey: Journey, role: Role, subject: str) -> bool:
    """Whether somebody in this role may read this journey at all."""
    prescriber = journey.care_team.prescriber
    match role:
        case Role.PATIENT:
            return journey.patient.subject == subject
        case Role.THERAPIST:
            return journey.care_team.therapist.subject == subject
        case Role.PRESCRIBER:
            return prescriber is not None and prescriber.subject == subject
        case Role.ON_CALL:
            return journey.safety.open_case is not None
        case _:
            return role in SEES or role is Role.AUDITOR


def reading_as(journey: Journey, principal: Principal, roles: tuple[Role, ...]) -> Role:
    """Give the first role in which the principal may read this journey. Raises ProblemError 403."""
    for role in roles:
        if takes_part(journey, role, principal.subject):
            return role
    raise ProblemError(
        403,
        "NOT_A_PARTICIPANT",
        "You are not on this patient's care team. Ask a coordinator; a clinician on call reads while a case is open.",
    )
