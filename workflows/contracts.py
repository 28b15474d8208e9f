"""What goes into a workflow and what comes out of it: shared by the API, the workflows and the audit."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from domain.envelope import GENESIS, Receipt
from domain.journey.state import State
from domain.values import Instant, Value


class Attempt(Value):
    """How often an owed effect was tried, and when to try again."""

    count: int = 0
    next_at: Instant | None = None


class PendingPage(Value):
    """A page that was started before its events reached the log (architecture D12)."""

    case_id: UUID
    raised_at: Instant


class JourneySnapshot(Value):
    """All that one run hands to the next: the fold, the chain head, the receipts, the attempts (I5)."""

    state: State = Field(discriminator="kind")
    chain_head: str = GENESIS
    receipts: tuple[Receipt, ...] = ()
    receipts_evicted: bool = False
    facts_seen: tuple[str, ...] = ()
    attempts: dict[str, Attempt] = Field(default_factory=dict)
    diverged: str | None = None


class JourneyStart(Value):
    """The start input of a journey. ``snapshot`` is None for the first run."""

    journey_id: UUID
    patient_id: UUID
    key_version: int = Field(default=1, ge=1)
    clock_shift_seconds: float = 0.0
    simulated: bool = False
    snapshot: JourneySnapshot | None = None


class CommandAnswer(Value):
    """What an accepted command came to. ``sequence`` is the journey's version after it."""

    journey_id: UUID
    command_id: UUID
    sequence: int
    events: tuple[str, ...]


class EscalationStart(Value):
    """The start input of an escalation: ids and times only, so that the system key can seal it."""

    journey_id: UUID
    case_id: UUID
    raised_at: Instant
    clock_shift_seconds: float = 0.0
