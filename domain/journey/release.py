"""S6, its end: nobody goes home unless every release criterion is met (INV-17, domain.md §1.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, assert_never
from uuid import UUID

from domain.calendars import end_of_local_day
from domain.codes import Code
from domain.envelope import Role
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Event,
    HistoryCorruptError,
    Obligation,
    Stamp,
    accept,
    refuse,
)
from domain.journey.scheduling import completed
from domain.journey.vital_bands import may_go_home
from domain.protocols import Protocol
from domain.values import Instant, ShortText

if TYPE_CHECKING:
    from domain.journey.state import Journey


class ReleasePatient(Command, name="release_patient", by={Role.THERAPIST}):
    """Let the patient go. Refused until every release criterion is met (INV-17)."""

    session_id: UUID
    oriented: bool
    gait_steady: bool
    vomiting: bool
    new_suicidal_ideation: bool
    escort_present: bool
    no_drive_until: Instant


class ReleaseCriteriaEvaluated(Event, type="release_criteria_evaluated.v1"):
    session_id: UUID
    passed: bool
    unmet: tuple[ShortText, ...]


class DosingReleased(Event, type="dosing_released.v1"):
    session_id: UUID
    minutes_since_last_dose: int
    no_drive_until: Instant


Commands: TypeAlias = ReleasePatient
Events: TypeAlias = ReleaseCriteriaEvaluated | DosingReleased


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    record = journey.dosing.find(command.session_id)
    if record is None or record.released_at is not None:
        return refuse(Code.WRONG_STAGE, "this dosing session is not running; start it first")
    rules = ctx.policy.dosing.release
    last = max((line.at for line in record.lines), default=record.started_at)
    minutes = int((ctx.at - last) / timedelta(minutes=1))
    # The newest reading counts, also one after ``at``: who was measured then had not gone home yet.
    unmet = may_go_home(journey.observations.latest(ctx.now), record.baseline, ctx.at, rules)
    if minutes < rules.minutes_min:
        unmet.append(f"{rules.minutes_min} minutes since the last dose")
    drives_from = end_of_local_day(ctx.at, journey.patient.time_zone)
    for met, name in (
        (command.oriented, "oriented"),
        (command.gait_steady, "steady gait"),
        (not command.vomiting, "no vomiting"),
        (not command.new_suicidal_ideation, "no new suicidal ideation"),
        (command.escort_present, "escort present"),
        (command.no_drive_until >= drives_from, "no driving before the next day"),
    ):
        if not met:
            unmet.append(name)
    evaluated = ReleaseCriteriaEvaluated(session_id=record.session_id, passed=not unmet, unmet=tuple(unmet))
    if unmet:
        return refuse(Code.RELEASE, f"not met yet: {', '.join(unmet)}", evaluated)
    return accept(
        evaluated,
        DosingReleased(
            session_id=record.session_id, minutes_since_last_dose=minutes, no_drive_until=command.no_drive_until
        ),
    )


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    match event:
        case ReleaseCriteriaEvaluated():
            return journey
        case DosingReleased(session_id=session_id):
            if journey.dosing.find(session_id) is None:
                raise HistoryCorruptError(f"{event.type} at {stamp.sequence} without a started session")
            dosing = journey.dosing.replace(session_id, released_at=stamp.occurred_at)
            sessions = completed(journey, session_id, stamp)
            return journey.model_copy(update={"dosing": dosing, "sessions": sessions})
        case _:
            assert_never(event)


def due(_journey: Journey, _policy: Protocol) -> tuple[Obligation, ...]:
    """A running session owes its next check-in until the release: see ``dosing``."""
    return ()
