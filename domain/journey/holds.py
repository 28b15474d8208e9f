"""Holds: a stop that only its owner lifts (INV-9, INV-16).

A hold says who owns it, who stands in for them, why, and by when somebody must look at it again.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from domain.codes import Code
from domain.envelope import Role
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
    refuse,
)
from domain.protocols import Protocol
from domain.values import Instant, LongText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class HoldKind(StrEnum):
    MEDICAL = "medical"
    SAFETY = "safety"
    ALLIANCE = "alliance"
    ADMIN = "admin"


OWNERS: dict[HoldKind, frozenset[Role]] = {
    HoldKind.MEDICAL: frozenset({Role.PRESCRIBER, Role.MEDICAL_DIRECTOR}),
    HoldKind.SAFETY: frozenset({Role.PRESCRIBER, Role.MEDICAL_DIRECTOR}),
    # The therapist never lifts an alliance hold alone (domain.md §5.6).
    HoldKind.ALLIANCE: frozenset({Role.PRESCRIBER, Role.MEDICAL_DIRECTOR}),
    HoldKind.ADMIN: frozenset({Role.COORDINATOR, Role.MEDICAL_DIRECTOR}),
}
REVIEWERS = {kind: Role.COORDINATOR if kind is HoldKind.ADMIN else Role.PRESCRIBER for kind in HoldKind}
CODES = {
    HoldKind.MEDICAL: Code.HOLD_MEDICAL,
    HoldKind.SAFETY: Code.HOLD_SAFETY,
    HoldKind.ALLIANCE: Code.HOLD_ALLIANCE,
    HoldKind.ADMIN: Code.HOLD_ADMIN,
}


class Hold(Value):
    kind: HoldKind
    placed_at: Instant
    placed_by: Role


class Holds(Value):
    open: tuple[Hold, ...] = ()

    def has(self, kind: HoldKind) -> bool:
        return any(hold.kind is kind for hold in self.open)


class PlaceHold(Command, name="place_hold", by={*CLINICIANS, Role.COORDINATOR}):
    """Stop this journey's dosing until the owning role has looked."""

    hold: HoldKind
    reason: LongText


class LiftHold(Command, name="lift_hold", by={*CLINICIANS, Role.COORDINATOR}):
    """Lift a hold. Only the owning role may (INV-16)."""

    hold: HoldKind
    reason: LongText


class HoldPlaced(Event, type="hold_placed.v1"):
    hold: HoldKind
    reason: LongText


class HoldLifted(Event, type="hold_lifted.v1"):
    hold: HoldKind
    reason: LongText


Commands: TypeAlias = PlaceHold | LiftHold
Events: TypeAlias = HoldPlaced | HoldLifted


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case PlaceHold():
            if journey.holds.has(command.hold):
                return refuse(Code.ALREADY_DONE, f"a {command.hold} hold is open already")
            return accept(HoldPlaced(hold=command.hold, reason=command.reason))
        case LiftHold():
            if not journey.holds.has(command.hold):
                return refuse(Code.NOT_FOUND, f"no {command.hold} hold is open")
            if ctx.actor.role not in OWNERS[command.hold]:
                owners = " or ".join(sorted(OWNERS[command.hold]))
                return refuse(Code.ROLE, f"a {command.hold} hold is lifted by {owners}")
            if command.hold is HoldKind.SAFETY and journey.safety.open_case is not None:
                return refuse(Code.HOLD_SAFETY, "close the open safety case first, with reason and plan")
            return accept(HoldLifted(hold=command.hold, reason=command.reason))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    others = tuple(hold for hold in journey.holds.open if hold.kind is not event.hold)
    match event:
        case HoldPlaced(hold=kind):
            placed = Hold(kind=kind, placed_at=stamp.recorded_at, placed_by=stamp.role)
            return journey.model_copy(update={"holds": Holds(open=(*others, placed))})
        case HoldLifted():
            return journey.model_copy(update={"holds": Holds(open=others)})
        case _:
            assert_never(event)


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    length = timedelta(days=policy.clocks.hold_review_days)
    return tuple(
        Task(
            key=f"hold/{hold.kind}/{hold.placed_at:%Y%m%dT%H%M%S}",
            code=f"REVIEW_HOLD_{hold.kind.upper()}",
            owner=REVIEWERS[hold.kind],
            due_at=hold.placed_at + length,
        )
        for hold in journey.holds.open
    )
