"""Clocks: an obligation whose time has passed is recorded once: a breach is a fact, not an opinion."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from domain.envelope import Role
from domain.journey.messages import Event, Obligation, Stamp, Task
from domain.values import Instant, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Clocks(Value):
    breached: tuple[ShortText, ...] = ()


class SlaBreached(Event, type="sla_breached.v1"):
    key: ShortText
    code: ShortText
    owner: Role
    due_at: Instant


Events: TypeAlias = SlaBreached


def react(journey: Journey, obligations: tuple[Obligation, ...], now: datetime) -> tuple[Event, ...]:
    """A breach for every task that is overdue and not recorded as such."""
    return tuple(
        SlaBreached(key=task.key, code=task.code, owner=task.owner, due_at=task.due_at)
        for task in obligations
        if isinstance(task, Task) and task.due_at <= now and task.key not in journey.clocks.breached
    )


def evolve(journey: Journey, event: Events, _stamp: Stamp) -> Journey:
    match event:
        case SlaBreached(key=key):
            return journey.model_copy(update={"clocks": Clocks(breached=(*journey.clocks.breached, key))})
        case _:
            assert_never(event)
