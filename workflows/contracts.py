"""What goes into a workflow and what comes out of it: shared by the API, the workflows and the audit."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from domain.envelope import GENESIS, FactEnvelope, Receipt
from domain.journey.state import NotOpened, State
from domain.values import Instant, ShortText, Value


class Attempt(Value):
    """How often an owed effect was tried, and when to try again."""

    count: int = 0
    next_at: Instant | None = None


class JourneySnapshot(Value):
    """All that one run hands to the next (I5).

    ``facts_waiting`` are facts that could not be recorded yet, ``escalations`` the safety cases that were paged for and
    that no clinician has answered, ``diverged`` why the log is not the one this journey knows.
    """

    state: State = Field(discriminator="kind")
    chain_head: str = GENESIS
    receipts: tuple[Receipt, ...] = ()
    receipts_evicted: bool = False
    facts_seen: tuple[str, ...] = ()
    facts_waiting: tuple[FactEnvelope, ...] = ()
    attempts: dict[str, Attempt] = Field(default_factory=dict)
    escalations: tuple[UUID, ...] = ()
    diverged: str | None = None


class JourneyStart(Value):
    """The start input of a journey. ``snapshot`` is None for the first run."""

    journey_id: UUID
    patient_id: UUID
    key_version: int = Field(default=1, ge=1)
    clock_shift_seconds: float = 0.0
    simulated: bool = False
    snapshot: JourneySnapshot | None = None

    def known(self) -> JourneySnapshot:
        """What the run begins with: what the run before handed over, or a journey that has not been opened."""
        if self.snapshot is not None:
            return self.snapshot
        return JourneySnapshot(
            state=NotOpened(
                journey_id=self.journey_id, patient_id=self.patient_id, clock_shift_seconds=self.clock_shift_seconds
            )
        )


class CommandAnswer(Value):
    """What an accepted command came to. ``sequence`` is the journey's version after it."""

    journey_id: UUID
    command_id: UUID
    sequence: int
    events: tuple[str, ...]


class EscalationStart(Value):
    """The start input of an escalation: ids and times only, so that the system key can seal it.

    ``page_again_minutes`` is the protocol's; the API, which knows no protocol, leaves the default.
    """

    journey_id: UUID
    case_id: UUID
    raised_at: Instant
    clock_shift_seconds: float = 0.0
    page_again_minutes: int = Field(default=5, ge=1)
    pages_sent: int = Field(default=0, ge=0)


class PageReport(Value):
    """That a page went out, on its way to the journey. ``page_id`` is the pager's, ``fact_id`` the page's key."""

    journey_id: UUID
    case_id: UUID
    fact_id: ShortText
    page_id: ShortText
    paged_at: Instant
