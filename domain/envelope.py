"""What travels around a command and around an event: who, when, why, under which rules.

An event's *header* is chained in clear; its *content* is sealed under the patient's key (architecture D9, D11).
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from domain.values import Instant, Json, ShortText, Value


class Role(StrEnum):
    """Who somebody is to this journey (domain.md §1.1). SYSTEM is Alliance itself, OUTSIDE a system that reports."""

    PATIENT = "patient"
    THERAPIST = "therapist"
    PRESCRIBER = "prescriber"
    COORDINATOR = "coordinator"
    MEDICAL_DIRECTOR = "medical_director"
    ON_CALL = "on_call"
    AUDITOR = "auditor"
    SYSTEM = "system"
    OUTSIDE = "outside"


class Purpose(StrEnum):
    """HL7 v3 PurposeOfUse, the part in use."""

    TREAT = "TREAT"
    HEALTHCARE_OPERATIONS = "HOPERAT"
    PATIENT_REQUEST = "PATRQT"
    EMERGENCY_TREATMENT = "ETREAT"


class Sensitivity(StrEnum):
    """Which wall an event stands behind (domain.md §8.2.2)."""

    NORMAL = "normal"
    PSYCHIATRIC = "psy"
    PSYCHOTHERAPY_NOTE = "psythpn"
    PART2 = "part2"
    TRIAL_BLIND = "trial_blind"


class Actor(Value):
    """A verified person or system. ``subject`` is the identity provider's opaque id, never a name or an address."""

    subject: ShortText
    role: Role
    credential: ShortText | None = None
    authenticated_at: Instant | None = None
    methods: tuple[ShortText, ...] = ()


SYSTEM = Actor(subject="alliance", role=Role.SYSTEM)


class PolicyRef(Value):
    """The rules a decision was made under: a version and the SHA-256 of its file."""

    version: ShortText
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class CommandEnvelope(Value):
    """A command on its way to a journey. ``body`` is the command's own fields, parsed where it is decided."""

    command_id: UUID
    name: ShortText
    actor: Actor
    purpose: Purpose = Purpose.TREAT
    occurred_at: Instant | None = None
    body: Json = Field(default_factory=dict)


class FactEnvelope(Value):
    """A fact that an outside system reports. ``fact_id`` is its own message id: the same one twice is one fact."""

    fact_id: ShortText
    name: ShortText
    source: ShortText
    occurred_at: Instant
    body: Json = Field(default_factory=dict)


class Header(Value):
    """What is known of an event without the patient's key: stored as canonical bytes and chained."""

    event_id: UUID
    journey_id: UUID
    sequence: int = Field(ge=1)
    type: str = Field(pattern=r"^[a-z0-9_]+\.v[0-9]+$")
    occurred_at: Instant
    recorded_at: Instant
    actor: Actor
    purpose: Purpose
    command_id: UUID
    causation_id: UUID | None = None
    policy: PolicyRef
    sensitivity: Sensitivity
    key_version: int = Field(ge=1)


class Content(Value):
    """What is sealed: the event's own fields, and the digest of the request that caused it."""

    data: Json
    request_digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class EventRecord(Value):
    """One event as it goes into the log and comes out of it."""

    header: Header
    content: Content


class WorklistItem(Value):
    """Something a person owes this journey. Codes and dates only."""

    key: ShortText
    code: ShortText
    owner: Role
    due_at: Instant
    overdue: bool = False


class JourneySummary(Value):
    """What ops may see of a journey: the search attributes, the summary table and the worklist's head alike.

    Codes and dates only; no identifiers and no clinical content (architecture D15, I6).
    """

    journey_id: UUID
    version: int
    stage: ShortText
    protocol: ShortText
    policy_version: ShortText
    hold: str | None = None
    next_action: str | None = None
    next_action_by: Role | None = None
    due_at: Instant | None = None
    next_session_at: Instant | None = None
    sla_state: ShortText = "on_track"
    safety_open: bool = False
    opened_at: Instant
    closed_at: Instant | None = None


class AppendRequest(Value):
    """Everything that is chained, so that the log can be rebuilt from Temporal's history byte for byte (D3)."""

    journey_id: UUID
    expected_head: str = Field(pattern=r"^[0-9a-f]{64}$", description="chain head before the first record")
    records: tuple[EventRecord, ...] = Field(min_length=1)
    summary: JourneySummary
    worklist: tuple[WorklistItem, ...] = ()


class AppendResult(Value):
    """The log's answer. ``status`` is ``appended`` also when the very same append had already been committed."""

    status: str = Field(pattern=r"^(appended|duplicate_command|diverged)$")
    first: int
    last: int
    chain_head: str
    types: tuple[str, ...] = ()
    request_digest: str | None = None
    reason: str | None = None


GENESIS = "0" * 64
"""The chain head of an empty stream."""


class Receipt(Value):
    """What a command came to: kept so that the same command id gets the same answer again."""

    command_id: UUID
    request_digest: str
    first: int
    last: int
    types: tuple[str, ...]
    refusal_code: str | None = None
    refusal_message: str | None = None
