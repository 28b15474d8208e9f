"""S1: the patient arrives. Who they are, where they are, who stands by them, what they take and have had.

Some of it is asked again later: the location at every visit, the chaperone on every dosing day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from domain.codes import Code
from domain.envelope import Role
from domain.journey import consent
from domain.journey.messages import (
    CLINICIANS,
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
from domain.values import Instant, LongText, ShortText, StateCode, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Location(Value):
    state: StateCode
    attested_at: Instant


class Chaperone(Value):
    """``present_at`` is the last time somebody saw them there; a presence is good for its own day only."""

    verified_at: Instant
    present_at: Instant | None = None


class Onboarding(Value):
    portal_active_at: Instant | None = None
    identity_verified_at: Instant | None = None
    location: Location | None = None
    emergency_contact_at: Instant | None = None
    chaperone: Chaperone | None = None
    pharmacy: ShortText | None = None
    history_at: Instant | None = None
    could_become_pregnant: bool | None = None
    completed_at: Instant | None = None


class ActivatePortal(Command, name="activate_portal", by={Role.PATIENT}):
    """The patient opens the portal. From here on only this login is the patient's."""


class VerifyIdentity(Command, name="verify_identity", by={Role.COORDINATOR}):
    """Record that the patient's identity was checked against a document."""

    document: Literal["driving_licence", "passport", "state_id", "other"]


class AttestLocation(Command, name="attest_location", by={Role.PATIENT, Role.THERAPIST, Role.PRESCRIBER}):
    """Say where the patient physically is now. Licences are judged there (INV-11)."""

    state: StateCode
    address: ShortText
    emergency_number: ShortText = "911"


class RecordEmergencyContact(Command, name="record_emergency_contact", by={Role.PATIENT, Role.COORDINATOR}):
    """Whom to call in an emergency."""

    contact_name: ShortText
    phone: ShortText
    relationship: ShortText


class VerifyChaperone(Command, name="verify_chaperone", by={Role.COORDINATOR, Role.THERAPIST}):
    """Record an adult chaperone (remote) or escort (in person) whose contact was verified (INC-6)."""

    chaperone_name: ShortText
    phone: ShortText
    is_adult: bool


class ConfirmChaperonePresent(Command, name="confirm_chaperone_present", by={Role.THERAPIST}):
    """Confirm on the dosing day that the chaperone is there, or that the escort is named and reachable (INV-10)."""


class ChoosePharmacy(Command, name="choose_pharmacy", by={Role.PATIENT, Role.COORDINATOR}):
    """The compounding pharmacy that prescriptions go to."""

    pharmacy: ShortText


class RecordHealthHistory(Command, name="record_health_history", by={Role.PATIENT, *CLINICIANS}):
    """Medication, allergies, conditions, and whether pregnancy is possible."""

    medications: tuple[ShortText, ...] = ()
    allergies: tuple[ShortText, ...] = ()
    conditions: tuple[ShortText, ...] = ()
    narrative: LongText | None = None
    could_become_pregnant: bool


class PortalActivated(Event, type="portal_activated.v1"):
    subject: ShortText


class IdentityVerified(Event, type="identity_verified.v1"):
    document: ShortText


class LocationAttested(Event, type="location_attested.v1"):
    state: StateCode
    address: ShortText
    emergency_number: ShortText


class EmergencyContactRecorded(Event, type="emergency_contact_recorded.v1"):
    contact_name: ShortText
    phone: ShortText
    relationship: ShortText


class ChaperoneVerified(Event, type="chaperone_verified.v1"):
    chaperone_name: ShortText
    phone: ShortText


class ChaperonePresent(Event, type="chaperone_present.v1"):
    pass


class PharmacyChosen(Event, type="pharmacy_chosen.v1"):
    pharmacy: ShortText


class HealthHistoryRecorded(Event, type="health_history_recorded.v1"):
    medications: tuple[ShortText, ...]
    allergies: tuple[ShortText, ...]
    conditions: tuple[ShortText, ...]
    narrative: LongText | None
    could_become_pregnant: bool


class OnboardingCompleted(Event, type="onboarding_completed.v1"):
    pass


Commands: TypeAlias = (
    ActivatePortal
    | VerifyIdentity
    | AttestLocation
    | RecordEmergencyContact
    | VerifyChaperone
    | ConfirmChaperonePresent
    | ChoosePharmacy
    | RecordHealthHistory
)
Events: TypeAlias = (
    PortalActivated
    | IdentityVerified
    | LocationAttested
    | EmergencyContactRecorded
    | ChaperoneVerified
    | ChaperonePresent
    | PharmacyChosen
    | HealthHistoryRecorded
    | OnboardingCompleted
)


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case ActivatePortal():
            if journey.stage is Stage.REFERRED:
                return refuse(Code.WRONG_STAGE, "the portal opens once the referral is accepted")
            if journey.onboarding.portal_active_at is not None:
                return refuse(Code.ALREADY_DONE, "the portal is active already")
            return accept(PortalActivated(subject=ctx.actor.subject))
        case VerifyIdentity():
            return accept(IdentityVerified(document=command.document))
        case AttestLocation():
            return accept(LocationAttested(**dict(command)))
        case RecordEmergencyContact():
            return accept(EmergencyContactRecorded(**dict(command)))
        case VerifyChaperone():
            if not command.is_adult:
                return refuse(Code.CHAPERONE, "a chaperone is an adult (18 or older); name another one")
            return accept(ChaperoneVerified(chaperone_name=command.chaperone_name, phone=command.phone))
        case ConfirmChaperonePresent():
            if journey.onboarding.chaperone is None:
                return refuse(Code.CHAPERONE, "no chaperone is verified; verify one first")
            if ctx.at < journey.onboarding.chaperone.verified_at:
                return refuse(Code.CHAPERONE, "this chaperone was verified after that; confirm that they are here now")
            return accept(ChaperonePresent())
        case ChoosePharmacy():
            return accept(PharmacyChosen(pharmacy=command.pharmacy))
        case RecordHealthHistory():
            return accept(HealthHistoryRecorded(**dict(command)))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    at, chaperone = stamp.occurred_at, journey.onboarding.chaperone
    change: dict[str, object]
    match event:
        case PortalActivated(subject=subject):
            patient = journey.patient.model_copy(update={"subject": subject})
            journey, change = journey.model_copy(update={"patient": patient}), {"portal_active_at": at}
        case IdentityVerified():
            change = {"identity_verified_at": at}
        case LocationAttested(state=state):
            known = journey.onboarding.location
            here = Location(state=state, attested_at=at)
            change = {"location": here if known is None or is_newest(known.attested_at, stamp) else known}
        case EmergencyContactRecorded():
            change = {"emergency_contact_at": at}
        case ChaperoneVerified():
            change = {"chaperone": Chaperone(verified_at=at)}
        case ChaperonePresent():
            if chaperone is not None and is_newest(chaperone.present_at, stamp):
                chaperone = chaperone.model_copy(update={"present_at": at})
            change = {"chaperone": chaperone}
        case PharmacyChosen(pharmacy=pharmacy):
            change = {"pharmacy": pharmacy}
        case HealthHistoryRecorded(could_become_pregnant=possible):
            known_possible = journey.onboarding.could_become_pregnant is True
            # A "no" ends the pregnancy tests; after a "yes" only a clinician's "no" does.
            possible = possible or (known_possible and stamp.role not in CLINICIANS)
            newest = is_newest(journey.onboarding.history_at, stamp)
            change = {"history_at": at, "could_become_pregnant": possible} if newest else {}
        case OnboardingCompleted():
            journey, change = journey.model_copy(update={"stage": Stage.INTAKE}), {"completed_at": at}
        case _:
            assert_never(event)
    return journey.model_copy(update={"onboarding": journey.onboarding.model_copy(update=change)})


def open_forms(journey: Journey, policy: Protocol) -> tuple[tuple[str, Role], ...]:
    """What is still missing before an intake can be held, and who can bring it."""
    here = journey.onboarding
    wanted = (
        (here.portal_active_at, "ACTIVATE_PORTAL", Role.PATIENT),
        (here.identity_verified_at, "VERIFY_IDENTITY", Role.COORDINATOR),
        (here.location, "ATTEST_LOCATION", Role.PATIENT),
        (here.emergency_contact_at, "RECORD_EMERGENCY_CONTACT", Role.PATIENT),
        (here.chaperone, "VERIFY_CHAPERONE", Role.COORDINATOR),
        (here.pharmacy, "CHOOSE_PHARMACY", Role.PATIENT),
        (here.history_at, "RECORD_HEALTH_HISTORY", Role.PATIENT),
    )
    forms = [(code, owner) for present, code, owner in wanted if present is None]
    forms += [(f"SIGN_CONSENT_{scope.upper()}", Role.PATIENT) for scope in consent.missing(journey, policy)]
    answered = journey.assessments.answered
    forms += [
        (f"SUBMIT_{instrument.upper().replace('-', '_').replace(' ', '_')}", Role.PATIENT)
        for instrument in policy.onboarding.questionnaires
        if instrument not in answered
    ]
    return tuple(forms)


def react(journey: Journey, policy: Protocol) -> tuple[Event, ...]:
    """Onboarding is complete the moment its last form is in."""
    if journey.stage is Stage.ONBOARDING and not open_forms(journey, policy):
        return (OnboardingCompleted(),)
    return ()


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    if journey.stage is not Stage.ONBOARDING:
        return ()
    by = policy.clocks.business_days_after(journey.referral.submitted_at, policy.clocks.intake_booked_business_days)
    return tuple(
        Task(key=f"onboarding/{code.lower()}", code=code, owner=owner, due_at=by)
        for code, owner in open_forms(journey, policy)
    )
