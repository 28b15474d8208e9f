"""Facts on their way into the log: never refused, never taken twice, never lost to a hand-over (architecture D5)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue

from domain import journey as rules
from domain.envelope import FactEnvelope
from domain.journey import Command

FACTS_KEPT = 64
"""Ids of facts that were taken. An older one is still known to the log, by the command id made of it."""


class Facts:
    """What has arrived and could not be recorded yet, and what was taken lately."""

    def __init__(self, seen: Sequence[str], waiting: Sequence[FactEnvelope]) -> None:
        self.seen = tuple(seen)
        self.waiting = tuple(waiting)

    def receive(self, args: Sequence[RawValue]) -> None:
        """Put a signal's fact at the end of the line. What is no fact at all is passed over: it must stop nothing."""
        try:
            envelope = workflow.payload_converter().from_payload(args[0].payload, FactEnvelope)
        except (ValueError, KeyError, IndexError, RuntimeError):
            envelope = None
        if not isinstance(envelope, FactEnvelope):
            workflow.logger.error("signal_unreadable")
            return
        if envelope.fact_id not in {*self.seen, *(waiting.fact_id for waiting in self.waiting)}:
            self.waiting = (*self.waiting, envelope)

    def taken(self, envelope: FactEnvelope) -> None:
        """It is in the log, or known not to be news."""
        self.waiting = tuple(waiting for waiting in self.waiting if waiting.fact_id != envelope.fact_id)
        self.seen = (*self.seen, envelope.fact_id)[-FACTS_KEPT:]


def parse(envelope: FactEnvelope) -> Command | None:
    """The fact; None when this build cannot read it, and a newer one must."""
    if envelope.name not in rules.FACTS:
        workflow.logger.error("fact_unknown")
        return None
    try:
        return rules.parse_command(envelope)
    except ValidationError:
        workflow.logger.error("fact_unreadable")
        return None
