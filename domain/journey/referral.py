"""S0: somebody asks for care. Opens the journey, names the people, is accepted or declined."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import AfterValidator, Field

from domain.calendars import local_date, zone_of
from domain.codes import Code
from domain.effects import Address, PersonName
from domain.envelope import Role
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Event,
    HistoryCorruptError,
    Obligation,
    Stamp,
    Task,
    accept,
    refuse,
)
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, StateCode, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey, NotOpened


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


ZoneName: TypeAlias = Annotated[ShortText, AfterValidator(_known_zone)]
"""An IANA zone, checked where it enters: a decision must never meet one that does not exist."""


class Patient(Value):
    """The person. ``subject`` is the identity provider's opaque id once the portal is active."""

    name: PersonName
    birth_date: date
    sex: Literal["female", "male"]
    email: ShortText
    phone: ShortText
    address: Address
    time_zone: ZoneName
    subject: ShortText | None = None


class Therapist(Value):
    subject: ShortText
    licence_states: tuple[StateCode, ...] = Field(min_length=1)


class Prescriber(Value):
    """``time_zone`` is that of the registered location: legal bases are judged there (architecture D16)."""

    subject: ShortText
    npi: str = Field(pattern=r"^[0-9]{10}$")
    dea: str = Field(pattern=r"^[A-Z]{2}[0-9]{7}$")
    licence_states: tuple[StateCode, ...] = Field(min_length=1)
    time_zone: ZoneName


class CareTeam(Value):
    therapist: Therapist
    therapist_since: int = Field(description="sequence of the event that made this therapist the current one")
    prescriber: Prescriber | None = None


class ReferralStatus(StrEnum):
    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    ACCEPTED = "accepted"
    DECLINED = "declined"


class Referral(Value):
    status: ReferralStatus = ReferralStatus.SUBMITTED
    submitted_at: Instant
    diagnosis_icd10: ShortText
    alliance_since: date
    modality: Literal["in_person", "remote"]
    protocol: ShortText


class SubmitReferral(Command, name="submit_referral", by={Role.THERAPIST, Role.COORDINATOR}):
    """Refer a patient for ketamine-assisted psychotherapy with the therapist who will lead the sessions."""

    protocol: ShortText = Field(default="ketamine_sl", description="protocol id; the newest version is used")
    patient: Patient
    therapist: Therapist
    diagnosis_icd10: str = Field(pattern=r"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?$")
    presenting_problem: LongText
    known_risks: LongText | None = None
    alliance_since: date = Field(description="since when patient and therapist have worked together")
    modality: Literal["in_person", "remote"]


class AcknowledgeReferral(Command, name="acknowledge_referral", by={Role.COORDINATOR}):
    """Tell the referrer that the referral has been seen (SLA-1)."""


class AcceptReferral(Command, name="accept_referral", by={Role.COORDINATOR}):
    """Accept the referral; the patient is invited to the portal."""


class DeclineReferral(Command, name="decline_referral", by={Role.COORDINATOR, Role.PRESCRIBER}):
    """Decline the referral. Closes the journey."""

    reason: LongText


class AssignPrescriber(Command, name="assign_prescriber", by={Role.COORDINATOR}):
    """Name the prescriber who will decide on eligibility."""

    prescriber: Prescriber


class JourneyOpened(Event, type="journey_opened.v1"):
    patient_id: UUID
    policy_version: ShortText
    clock_shift_seconds: float


class ReferralSubmitted(Event, type="referral_submitted.v1"):
    patient: Patient
    therapist: Therapist
    diagnosis_icd10: ShortText
    presenting_problem: LongText
    known_risks: LongText | None
    alliance_since: date
    modality: Literal["in_person", "remote"]
    protocol: ShortText


class ReferralAcknowledged(Event, type="referral_acknowledged.v1"):
    pass


class ReferralAccepted(Event, type="referral_accepted.v1"):
    pass


class ReferralDeclined(Event, type="referral_declined.v1"):
    reason: LongText


class PrescriberAssigned(Event, type="prescriber_assigned.v1"):
    prescriber: Prescriber


Commands: TypeAlias = AcknowledgeReferral | AcceptReferral | DeclineReferral | AssignPrescriber
Events: TypeAlias = ReferralAcknowledged | ReferralAccepted | ReferralDeclined | PrescriberAssigned


def open_journey(state: NotOpened, command: SubmitReferral, ctx: Context) -> Decision:
    """Decide on the one command that an unopened journey takes."""
    if ctx.actor.role is Role.THERAPIST and command.therapist.subject != ctx.actor.subject:
        return refuse(Code.ROLE, "a therapist refers to themselves; ask a coordinator to refer to somebody else")
    born, today = command.patient.birth_date, local_date(ctx.at, command.patient.time_zone)
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if age < ctx.policy.onboarding.minimum_age_years:
        return refuse(Code.UNDER_AGE, f"INC-1: {ctx.policy.onboarding.minimum_age_years} years or older")
    return accept(
        JourneyOpened(
            patient_id=state.patient_id,
            policy_version=ctx.policy.version,
            clock_shift_seconds=state.clock_shift_seconds,
        ),
        ReferralSubmitted(**dict(command)),
    )


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case AcknowledgeReferral():
            if journey.referral.status is not ReferralStatus.SUBMITTED:
                return refuse(Code.ALREADY_DONE, "the referral has been acknowledged already")
            return accept(ReferralAcknowledged())
        case AcceptReferral():
            if journey.referral.status is not ReferralStatus.ACKNOWLEDGED:
                return refuse(Code.WRONG_STAGE, "acknowledge the referral first; it can be accepted once")
            return accept(ReferralAccepted())
        case DeclineReferral():
            if journey.stage is not Stage.REFERRED:
                return refuse(Code.WRONG_STAGE, "only a referral that was not accepted yet can be declined")
            return accept(ReferralDeclined(reason=command.reason))
        case AssignPrescriber():
            if ctx.policy.substance.schedule == "I":
                return refuse(Code.SCHEDULE_I, "a Schedule I protocol runs under a trial; it has no prescriber")
            return accept(PrescriberAssigned(prescriber=command.prescriber))
        case _:
            assert_never(command)


def opened(state: NotOpened, first: JourneyOpened, event: ReferralSubmitted, stamp: Stamp) -> Journey:
    """The journey that the first two events make."""
    from domain.journey.state import Journey  # noqa: PLC0415  the state is composed of the phases

    return Journey(
        journey_id=state.journey_id,
        patient_id=first.patient_id,
        clock_shift_seconds=first.clock_shift_seconds,
        version=stamp.sequence,
        stage=Stage.REFERRED,
        policy_version=first.policy_version,
        opened_at=stamp.recorded_at,
        touched_at=stamp.recorded_at,
        patient=event.patient,
        care_team=CareTeam(therapist=event.therapist, therapist_since=stamp.sequence),
        referral=Referral(
            submitted_at=stamp.occurred_at,
            diagnosis_icd10=event.diagnosis_icd10,
            alliance_since=event.alliance_since,
            modality=event.modality,
            protocol=event.protocol,
        ),
    )


_NEXT = {
    ReferralAcknowledged: (ReferralStatus.SUBMITTED, ReferralStatus.ACKNOWLEDGED),
    ReferralAccepted: (ReferralStatus.ACKNOWLEDGED, ReferralStatus.ACCEPTED),
}


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    match event:
        case ReferralAcknowledged() | ReferralAccepted():
            before, after = _NEXT[type(event)]
            if journey.referral.status is not before:
                raise HistoryCorruptError(f"{event.type} at {stamp.sequence} after {journey.referral.status}")
            stage = Stage.ONBOARDING if after is ReferralStatus.ACCEPTED else journey.stage
            referral = journey.referral.model_copy(update={"status": after})
            return journey.model_copy(update={"referral": referral, "stage": stage})
        case ReferralDeclined():
            referral = journey.referral.model_copy(update={"status": ReferralStatus.DECLINED})
            closed = {"stage": Stage.CLOSED, "closed_at": stamp.recorded_at}
            return journey.model_copy(update={"referral": referral, **closed})
        case PrescriberAssigned(prescriber=prescriber):
            team = journey.care_team.model_copy(update={"prescriber": prescriber})
            return journey.model_copy(update={"care_team": team})
        case _:
            assert_never(event)


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    owed: list[Obligation] = []
    submitted = journey.referral.submitted_at
    if journey.referral.status is ReferralStatus.SUBMITTED:
        by = policy.clocks.business_days_after(submitted, policy.clocks.referral_acknowledged_business_days)
        owed.append(Task(key="referral/acknowledge", code="ACKNOWLEDGE_REFERRAL", owner=Role.COORDINATOR, due_at=by))
    elif journey.referral.status is ReferralStatus.ACKNOWLEDGED:
        by = policy.clocks.business_days_after(submitted, policy.clocks.intake_booked_business_days)
        owed.append(Task(key="referral/decide", code="ACCEPT_OR_DECLINE", owner=Role.COORDINATOR, due_at=by))
    elif journey.care_team.prescriber is None and journey.stage is not Stage.CLOSED:
        by = policy.clocks.business_days_after(submitted, policy.clocks.intake_booked_business_days)
        owed.append(Task(key="referral/prescriber", code="ASSIGN_PRESCRIBER", owner=Role.COORDINATOR, due_at=by))
    return tuple(owed)
