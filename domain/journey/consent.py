"""Consents: what the patient has agreed to, in which version, and that it still stands today (INV-2, INV-24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from pydantic import Field

from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Event,
    Obligation,
    Stamp,
    Task,
    accept,
    is_newest,
    refuse,
)
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Consent(Value):
    version: int = Field(ge=1)
    signed_at: Instant
    reaffirmed_at: Instant | None = None


class Consents(Value):
    signed: dict[str, Consent] = Field(default_factory=dict, description="by scope; a revoked one is gone from here")
    lapsed_at: Instant | None = None


class SignConsent(Command, name="sign_consent", by={Role.PATIENT}):
    """Sign one consent. ``meaning`` is what the signature means, in the words shown (21 CFR 11.50)."""

    scope: ShortText = Field(examples=["treatment", "ketamine", "telehealth"])
    version: int = Field(ge=1, description="version of the document that was shown")
    meaning: ShortText


class ReaffirmConsents(Command, name="reaffirm_consents", by={Role.PATIENT}):
    """Say on the dosing day that every signed consent still stands."""


class RevokeConsent(Command, name="revoke_consent", by={Role.PATIENT}):
    """Take a consent back. Nothing that needs it can be started after this."""

    scope: ShortText


class ConsentSigned(Event, type="consent_signed.v1"):
    scope: ShortText
    version: int
    meaning: ShortText


class ConsentsReaffirmed(Event, type="consents_reaffirmed.v1"):
    scopes: tuple[ShortText, ...]


class ConsentRevoked(Event, type="consent_revoked.v1"):
    scope: ShortText


Commands: TypeAlias = SignConsent | ReaffirmConsents | RevokeConsent
Events: TypeAlias = ConsentSigned | ConsentsReaffirmed | ConsentRevoked


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    signed = journey.consents.signed
    match command:
        case SignConsent():
            least = ctx.policy.consents.get(command.scope)
            if least is None:
                return refuse(
                    Code.NOT_FOUND, f"this protocol asks for these consents: {', '.join(ctx.policy.consents)}"
                )
            if command.version < least:
                return refuse(Code.CONSENT_OUTDATED, f"show and sign version {least} or newer of this consent")
            if _before_a_revocation(journey, ctx):
                return refuse(Code.CONSENT, "a consent was revoked after this was signed; ask again and sign now")
            return accept(ConsentSigned(scope=command.scope, version=command.version, meaning=command.meaning))
        case ReaffirmConsents():
            if not signed:
                return refuse(Code.CONSENT, "there is no signed consent to re-affirm")
            if _before_a_revocation(journey, ctx):
                return refuse(Code.CONSENT, "a consent was revoked after that; ask again and re-affirm now")
            return accept(ConsentsReaffirmed(scopes=tuple(sorted(signed))))
        case RevokeConsent():
            if command.scope not in signed:
                return refuse(Code.NOT_FOUND, "this consent is not signed, so it cannot be revoked")
            return accept(ConsentRevoked(scope=command.scope))
        case _:
            assert_never(command)


def _before_a_revocation(journey: Journey, ctx: Context) -> bool:
    """A signature that arrives late must not undo a revocation that came after it."""
    lapsed_at = journey.consents.lapsed_at
    return lapsed_at is not None and ctx.at < lapsed_at


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    signed = dict(journey.consents.signed)
    lapsed_at = journey.consents.lapsed_at
    match event:
        case ConsentSigned():
            signed[event.scope] = Consent(version=event.version, signed_at=stamp.occurred_at)
        case ConsentsReaffirmed():
            for scope in event.scopes:
                if scope in signed:
                    known_at = signed[scope].reaffirmed_at
                    at = stamp.occurred_at if is_newest(known_at, stamp) else known_at
                    signed[scope] = signed[scope].model_copy(update={"reaffirmed_at": at})
        case ConsentRevoked():
            signed.pop(event.scope, None)
            lapsed_at = stamp.recorded_at
        case _:
            assert_never(event)
    return journey.model_copy(update={"consents": Consents(signed=signed, lapsed_at=lapsed_at)})


def missing(journey: Journey, policy: Protocol) -> tuple[str, ...]:
    """Scopes that are not signed, in the protocol's order."""
    return tuple(scope for scope in policy.consents if scope not in journey.consents.signed)


def outdated(journey: Journey, policy: Protocol) -> tuple[str, ...]:
    """Scopes signed in a version that the protocol no longer accepts (INV-24)."""
    signed = journey.consents.signed
    return tuple(scope for scope, least in policy.consents.items() if scope in signed and signed[scope].version < least)


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """A consent that is missing or outdated after onboarding blocks care until the patient has signed again."""
    if journey.stage in {Stage.REFERRED, Stage.ONBOARDING, Stage.COURSE_COMPLETE, Stage.INELIGIBLE, Stage.CLOSED}:
        return ()
    if not missing(journey, policy) and not outdated(journey, policy):
        return ()
    since = journey.consents.lapsed_at or journey.opened_at
    by = policy.clocks.business_days_after(since, 1)
    return (Task(key="consent/renew", code="RENEW_CONSENT", owner=Role.COORDINATOR, due_at=by),)
