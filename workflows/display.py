"""What an ops person reads in the Temporal UI: search attributes and a page of Markdown (architecture D15).

Search attributes stand in clear and hold codes and dates only. The details are sealed like every payload, and still
name no person: who may read the UI is not who may read the chart.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from temporalio import workflow

from domain import journey as rules
from domain.envelope import JourneySummary, Role, WorklistItem
from domain.journey import Journey
from domain.protocols import protocol
from runtime.names import search_attributes

STAGES = (
    "referred",
    "onboarding",
    "intake",
    "under_review",
    "preparing",
    "dosing_course",
    "course_complete",
)


class Display:
    """Shows a running journey in the Temporal UI; only what has changed is sent."""

    def __init__(self) -> None:
        self._shown: dict[str, object] = {}

    def show(self, journey: Journey, diverged: str | None) -> None:
        """Show this state, and whether the log can still be trusted."""
        workflow.set_current_details(details(journey, diverged))
        summary, _ = rules.project(journey)
        updates = [u for u in search_attributes(summary) if self._shown.get(u.key.name, u) != u.value]
        if updates:
            workflow.upsert_search_attributes(updates)
            self._shown |= {update.key.name: update.value for update in updates}


ACRONYMS = {"C", "PHQ", "GAD", "WAI", "SR", "SSRS", "AUDIT", "DAST", "WHO", "PDMP", "EHR"}


def words(code: str) -> str:
    """``SUBMIT_PHQ_9`` as people read it: Submit PHQ 9."""
    parts = [part if part.upper() in ACRONYMS else part.lower() for part in code.split("_")]
    first = parts[0] if parts[0].isupper() else parts[0].capitalize()
    return " ".join([first, *(part.upper() if part.upper() in ACRONYMS else part for part in parts[1:])])


def details(journey: Journey, diverged: str | None = None) -> str:
    """The journey on one page: where it is, who owes what next, what is being sent."""
    summary, items = rules.project(journey)
    zone = ZoneInfo(protocol(journey.policy_version).clocks.practice_time_zone)
    parts = [
        _headline(journey, summary, zone),
        _quarantine(diverged),
        _progress(journey, summary),
        _owed(items, zone),
        _sending(journey),
    ]
    return "\n\n".join(part for part in parts if part)


def one_line(journey: Journey) -> str:
    """Stage and next action in one line, for the timer that waits for it."""
    summary, _ = rules.project(journey)
    action = f"{words(summary.next_action)} ({_who(summary.next_action_by)})" if summary.next_action else "nothing owed"
    return f"{words(summary.stage)}: {action}"


def _who(role: Role | None) -> str:
    return role.replace("_", " ") if role else "nobody"


def _when(moment: datetime | None, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" if moment else "none"


def _alert(journey: Journey) -> str:
    case = journey.safety.open_case
    if case is None:
        return ""
    if case.answered_at is None:
        return "\n\n**SAFETY CASE OPEN: a clinician must act now.**"
    return "\n\n**Safety case open; a clinician has it in hand.**"


def _headline(journey: Journey, summary: JourneySummary, zone: ZoneInfo) -> str:
    alert = _alert(journey)
    hold = f"\n\n**On hold: {summary.hold}.** No dose until its owner lifts it." if summary.hold else ""
    action = words(summary.next_action) if summary.next_action else "Nothing is owed"
    late = " **(overdue)**" if summary.sla_state == "breached" else ""
    return (
        f"## {words(summary.stage)}{alert}{hold}\n\n"
        f"**Next: {action}**, by {_who(summary.next_action_by)}, "
        f"due **{_when(summary.due_at, zone)}**{late}\n\n"
        f"Next session: {_when(summary.next_session_at, zone)}\n\n"
        f"Rules: {summary.policy_version}. Version: {summary.version}."
    )


def _quarantine(diverged: str | None) -> str:
    if diverged is None:
        return ""
    return f"**The event log is not the one this journey knows ({words(diverged)}).** Nothing is taken until recovered."


def _progress(journey: Journey, summary: JourneySummary) -> str:
    at = STAGES.index(summary.stage) if summary.stage in STAGES else -1
    steps = " → ".join(f"**{words(s)}**" if i == at else words(s) for i, s in enumerate(STAGES))
    most = protocol(journey.policy_version).dosing.sessions_max
    return f"{steps}\n\nDoses taken: {journey.dosing.count} of at most {most}."


def _owed(items: tuple[WorklistItem, ...], zone: ZoneInfo) -> str:
    if not items:
        return ""
    rows = "\n".join(
        f"- **{words(i.code)}**: {_who(i.owner)}, by {_when(i.due_at, zone)}{' **(overdue)**' if i.overdue else ''}"
        for i in items
    )
    return f"### Owed by people\n\n{rows}"


def _sending(journey: Journey) -> str:
    if not journey.outbox.owed:
        return ""
    rows = "\n".join(f"- {words(effect.request.kind)}" for effect in journey.outbox.owed)
    return f"### Owed to other systems\n\n{rows}"
