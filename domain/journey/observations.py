"""What is measured on the body: blood pressure and heart rate, weight and height, pregnancy tests.

Readings serve the intake, the gates before a dose, the watch during it and the release after it, so they live here
once. The state keeps every reading of the last two days and the newest of before; the log keeps them all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.envelope import Role
from domain.journey.holds import HoldKind, HoldPlaced
from domain.journey.messages import CLINICIANS, Command, Context, Decision, Event, Obligation, Stamp, accept, is_newest
from domain.protocols import Protocol
from domain.values import Instant, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey

ALL_KEPT_FOR = timedelta(hours=48)
"""Longer than any dosing day: no number of harmless readings may push a dangerous one of that day out of sight."""
OLDER_KEPT = 24


class Alarm(StrEnum):
    """Symptoms that turn a high reading into an emergency (domain.md §5.2)."""

    CHEST_PAIN = "chest_pain"
    DYSPNOEA = "dyspnoea"
    FOCAL_NEUROLOGY = "focal_neurology"
    SEVERE_HEADACHE = "severe_headache"
    VISUAL_LOSS = "visual_loss"
    SEIZURE = "seizure"
    SYNCOPE = "syncope"


class Reading(Value):
    """One set of vital signs: mmHg, beats per minute, percent."""

    taken_at: Instant
    systolic: int
    diastolic: int
    heart_rate: int
    oxygen_saturation: int | None = None
    session_id: UUID | None = None
    alarms: tuple[Alarm, ...] = ()


class Observations(Value):
    readings: tuple[Reading, ...] = ()
    weight_kg: float | None = None
    height_cm: float | None = None
    measured_at: Instant | None = None
    pregnancy_test_at: Instant | None = None
    pregnancy_test: Literal["negative", "positive"] | None = None

    def latest(self, at: datetime) -> Reading | None:
        """The last reading taken no later than ``at``."""
        # Of two at the same moment the one entered last counts.
        known = (r for r in reversed(self.readings) if r.taken_at <= at)
        return max(known, key=lambda r: r.taken_at, default=None)

    def within(self, start: datetime, length: timedelta) -> tuple[Reading, ...]:
        """Readings taken in the window that ends ``length`` after ``start``, in order."""
        found = (r for r in self.readings if start <= r.taken_at <= start + length)
        return tuple(sorted(found, key=lambda r: r.taken_at))


class RecordVitals(Command, name="record_vitals", by={Role.PATIENT, *CLINICIANS}):
    """Record one set of vital signs. ``session_id`` when it belongs to a session."""

    systolic: int = Field(ge=50, le=300, description="mmHg")
    diastolic: int = Field(ge=20, le=200, description="mmHg")
    heart_rate: int = Field(ge=20, le=250, description="beats per minute")
    oxygen_saturation: int | None = Field(default=None, ge=50, le=100, description="percent")
    session_id: UUID | None = None
    alarms: tuple[Alarm, ...] = ()


class RecordMeasurements(Command, name="record_measurements", by=CLINICIANS):
    """Record weight and height."""

    weight_kg: float = Field(ge=25, le=350)
    height_cm: float = Field(ge=100, le=250)


class RecordPregnancyTest(Command, name="record_pregnancy_test", by=CLINICIANS):
    """Record a urine hCG test (LOINC 2106-3)."""

    result: Literal["negative", "positive"]


class VitalsRecorded(Event, type="vitals_recorded.v1"):
    systolic: int
    diastolic: int
    heart_rate: int
    oxygen_saturation: int | None
    session_id: UUID | None
    alarms: tuple[Alarm, ...]


class MeasurementsRecorded(Event, type="measurements_recorded.v1"):
    weight_kg: float
    height_cm: float


class PregnancyTestRecorded(Event, type="pregnancy_test_recorded.v1"):
    result: Literal["negative", "positive"]


Commands: TypeAlias = RecordVitals | RecordMeasurements | RecordPregnancyTest
Events: TypeAlias = VitalsRecorded | MeasurementsRecorded | PregnancyTestRecorded


def decide(journey: Journey, command: Commands, _ctx: Context) -> Decision:
    """A measurement is a fact about a body: it is always recorded. What follows from it is for gates and people."""
    match command:
        case RecordVitals():
            return accept(VitalsRecorded(**dict(command)))
        case RecordMeasurements():
            return accept(MeasurementsRecorded(**dict(command)))
        case RecordPregnancyTest():
            recorded = PregnancyTestRecorded(**dict(command))
            if command.result == "negative" or journey.holds.has(HoldKind.MEDICAL):
                return accept(recorded)
            # domain.md §5.7: the prescriber looks at it, and nobody tests again until it fits.
            return accept(recorded, HoldPlaced(hold=HoldKind.MEDICAL, reason="pregnancy test positive"))
        case _:
            assert_never(command)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    at, here = stamp.occurred_at, journey.observations
    change: dict[str, object]
    match event:
        case VitalsRecorded():
            readings = (*here.readings, Reading(taken_at=at, **dict(event)))
            change = {"readings": _kept(readings, stamp.recorded_at - ALL_KEPT_FOR)}
        case MeasurementsRecorded():
            change = {"weight_kg": event.weight_kg, "height_cm": event.height_cm, "measured_at": at}
            change = change if is_newest(here.measured_at, stamp) else {}
        case PregnancyTestRecorded():
            change = {"pregnancy_test": event.result, "pregnancy_test_at": at}
            change = change if is_newest(here.pregnancy_test_at, stamp) else {}
        case _:
            assert_never(event)
    return journey.model_copy(update={"observations": here.model_copy(update=change)})


def _kept(readings: tuple[Reading, ...], since: datetime) -> tuple[Reading, ...]:
    """All from ``since`` on, in order of entry, after the newest of the older ones."""
    older = sorted((r for r in readings if r.taken_at < since), key=lambda r: r.taken_at)
    return (*older[-OLDER_KEPT:], *(r for r in readings if r.taken_at >= since))


def due(_journey: Journey, _policy: Protocol) -> tuple[Obligation, ...]:
    return ()
