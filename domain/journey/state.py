"""The state of a journey: a fold of its events, in one slice per phase. Changed by ``evolve`` and nothing else (I2)."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from domain.journey.assessment import Assessments
from domain.journey.clocks import Clocks
from domain.journey.consent import Consents
from domain.journey.dosing import Dosing
from domain.journey.eligibility import Eligibility
from domain.journey.follow_up import FollowUps
from domain.journey.holds import Holds
from domain.journey.observations import Observations
from domain.journey.onboarding import Onboarding
from domain.journey.outbox import Outbox
from domain.journey.outcomes import Outcomes
from domain.journey.prescription import Prescriptions
from domain.journey.referral import CareTeam, JourneyOpened, Patient, Referral
from domain.journey.safety import Safety
from domain.journey.scheduling import Sessions
from domain.journey.stages import Stage
from domain.journey.therapy import Therapy
from domain.values import Instant, Value


class NotOpened(Value):
    """A journey that has an id, a patient and a key, and nothing else yet."""

    kind: Literal["not_opened"] = "not_opened"
    journey_id: UUID
    patient_id: UUID
    clock_shift_seconds: float = 0.0
    version: int = 0
    opened: JourneyOpened | None = None


class Journey(Value):
    """An open journey, or one that was closed: what it knows, and so what it owes."""

    kind: Literal["journey"] = "journey"
    journey_id: UUID
    patient_id: UUID
    clock_shift_seconds: float
    version: int = Field(ge=1)
    stage: Stage
    policy_version: str
    opened_at: Instant
    touched_at: Instant
    course_completed_at: Instant | None = None
    closed_at: Instant | None = None
    patient: Patient
    referral: Referral
    care_team: CareTeam
    onboarding: Onboarding = Onboarding()
    consents: Consents = Consents()
    assessments: Assessments = Assessments()
    observations: Observations = Observations()
    eligibility: Eligibility = Eligibility()
    prescriptions: Prescriptions = Prescriptions()
    sessions: Sessions = Sessions()
    therapy: Therapy = Therapy()
    dosing: Dosing = Dosing()
    follow_ups: FollowUps = FollowUps()
    outcomes: Outcomes = Outcomes()
    holds: Holds = Holds()
    safety: Safety = Safety()
    clocks: Clocks = Clocks()
    outbox: Outbox = Outbox()

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


State = NotOpened | Journey
