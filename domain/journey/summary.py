"""What may be seen of a journey without its key: stage, next action, due date. Codes and dates only (I6).

One function serves the search attributes, the summary table, the worklist and the rebuild of both, so they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.envelope import JourneySummary, WorklistItem
from domain.journey.messages import Obligation, Task

if TYPE_CHECKING:
    from domain.journey.state import Journey


def worklist(journey: Journey, obligations: tuple[Obligation, ...]) -> tuple[WorklistItem, ...]:
    """What people owe, the most urgent first."""
    breached = set(journey.clocks.breached)
    items = (
        WorklistItem(key=task.key, code=task.code, owner=task.owner, due_at=task.due_at, overdue=task.key in breached)
        for task in obligations
        if isinstance(task, Task)
    )
    return tuple(sorted(items, key=lambda item: (item.due_at, item.key)))


def summarise(journey: Journey, items: tuple[WorklistItem, ...]) -> JourneySummary:
    """The journey in codes and dates, as of its last event."""
    first = items[0] if items else None
    session = journey.sessions.next_after(journey.touched_at)
    return JourneySummary(
        journey_id=journey.journey_id,
        version=journey.version,
        stage=str(journey.stage),
        protocol=journey.referral.protocol,
        policy_version=journey.policy_version,
        hold="+".join(sorted(hold.kind for hold in journey.holds.open)) or None,
        next_action=first.code if first else None,
        next_action_by=first.owner if first else None,
        due_at=first.due_at if first else None,
        next_session_at=session.starts_at if session else None,
        sla_state="breached" if any(item.overdue for item in items) else "on_track",
        safety_open=journey.safety.open_case is not None,
        opened_at=journey.opened_at,
        closed_at=journey.closed_at,
    )
