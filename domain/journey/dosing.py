"""S6: the dosing day, from the gates to the way home (domain.md §1.3).

Two guards stand here: nothing is swallowed unless every gate is green at that moment (INV-1…INV-13), and nobody goes
home unless every release criterion is met (INV-17).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.calendars import local_date, same_local_day
from domain.codes import Code
from domain.envelope import Role
from domain.journey.dose_limits import dose_problem
from domain.journey.messages import (
    CLINICIANS,
    Command,
    Context,
    Decision,
    Event,
    HistoryCorruptError,
    Obligation,
    Stamp,
    Task,
    accept,
    is_newest,
    refuse,
)
from domain.journey.observations import Reading
from domain.journey.scheduling import SessionKind, booked
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class DoseLine(Value):
    mg: float
    at: Instant
    is_booster: bool


class DosingRecord(Value):
    """One dosing session, from its start to the release."""

    session_id: UUID
    rx_id: UUID
    started_at: Instant
    baseline: Reading
    lines: tuple[DoseLine, ...] = ()
    booster_revoked: bool = False
    last_check_in_at: Instant | None = None
    released_at: Instant | None = None

    @property
    def total_mg(self) -> float:
        return sum(line.mg for line in self.lines)


class PredoseDecision(Value):
    """What the prescriber decided live about a P2 reading; good for that day."""

    at: Instant
    decision: Literal["proceed", "proceed_reduced", "postpone"]
    dose_fraction_max: float = 1.0


class Dosing(Value):
    records: tuple[DosingRecord, ...] = ()
    predose: PredoseDecision | None = None

    @property
    def count(self) -> int:
        """Sessions in which a dose was taken."""
        return sum(bool(record.lines) for record in self.records)

    @property
    def last_dose_at(self) -> datetime | None:
        return max((line.at for record in self.records for line in record.lines), default=None)

    def find(self, session_id: UUID) -> DosingRecord | None:
        return next((r for r in self.records if r.session_id == session_id), None)

    def running(self, session_id: UUID) -> bool:
        record = self.find(session_id)
        return record is not None and record.released_at is None

    def replace(self, session_id: UUID, **change: object) -> Dosing:
        changed = tuple(r.model_copy(update=change) if r.session_id == session_id else r for r in self.records)
        return self.model_copy(update={"records": changed})


class AttestPredose(Command, name="attest_predose", by={Role.PATIENT, Role.THERAPIST}):
    """The dosing day's attestations: fasting, no alcohol or drugs for 24 h, medication as planned, a way home."""

    fasting: bool
    no_alcohol_24h: bool
    no_other_drugs_24h: bool
    medication_as_planned: bool
    new_illness_or_medication: bool
    transport_arranged: bool


class DecidePredoseVitals(Command, name="decide_predose_vitals", by={Role.PRESCRIBER, Role.ON_CALL}):
    """The prescriber's live decision about a P2 reading (domain.md §5.2)."""

    decision: Literal["proceed", "proceed_reduced", "postpone"]
    dose_fraction_max: float = Field(default=1.0, gt=0, le=1)
    rationale: LongText


class StartDosing(Command, name="start_dosing", by={Role.THERAPIST}):
    """Open the dosing session. Every gate is evaluated and recorded, whatever the result."""

    session_id: UUID


class RecordDose(Command, name="record_dose", by={Role.THERAPIST}):
    """Record one dose line as it is taken. The first must pass every gate again; a booster needs a D1 reading."""

    session_id: UUID
    mg: float = Field(gt=0)
    lot: ShortText
    is_booster: bool = False
    given_by: Literal["self", "clinician"] = "self"
    swish_minutes: int = Field(default=10, ge=0, le=30)


class RecordCheckIn(Command, name="record_check_in", by={Role.THERAPIST}):
    """Look at the patient and say what you see."""

    session_id: UUID
    responsive: bool
    breathing_normal: bool
    distress: int = Field(ge=0, le=10)
    nausea: bool = False


class RevokeBooster(Command, name="revoke_booster", by=CLINICIANS):
    """No booster in this session."""

    session_id: UUID
    reason: LongText


class PredoseAttested(Event, type="predose_attested.v1"):
    fasting: bool
    no_alcohol_24h: bool
    no_other_drugs_24h: bool
    medication_as_planned: bool
    new_illness_or_medication: bool
    transport_arranged: bool


class PredoseVitalsDecided(Event, type="predose_vitals_decided.v1"):
    decision: Literal["proceed", "proceed_reduced", "postpone"]
    dose_fraction_max: float
    rationale: LongText


class GateResult(Value):
    """One gate. ``code`` is text, not the enum: a new refusal code must not change a stored event's shape (I7)."""

    code: ShortText
    passed: bool
    evidence: ShortText


class GatesEvaluated(Event, type="gates_evaluated.v1"):
    session_id: UUID
    passed: bool
    results: tuple[GateResult, ...]


class DosingStarted(Event, type="dosing_started.v1"):
    session_id: UUID
    rx_id: UUID
    baseline: Reading


class DoseTaken(Event, type="dose_taken.v1"):
    session_id: UUID
    rx_id: UUID
    mg: float
    lot: ShortText
    is_booster: bool
    given_by: Literal["self", "clinician"]
    swish_minutes: int


class CheckInRecorded(Event, type="check_in_recorded.v1"):
    session_id: UUID
    responsive: bool
    breathing_normal: bool
    distress: int
    nausea: bool


class BoosterRevoked(Event, type="booster_revoked.v1"):
    session_id: UUID
    reason: LongText


Commands: TypeAlias = AttestPredose | DecidePredoseVitals | StartDosing | RecordDose | RecordCheckIn | RevokeBooster
Events: TypeAlias = (
    PredoseAttested
    | PredoseVitalsDecided
    | GatesEvaluated
    | DosingStarted
    | DoseTaken
    | CheckInRecorded
    | BoosterRevoked
)


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case AttestPredose():
            return accept(PredoseAttested(**dict(command)))
        case DecidePredoseVitals():
            if command.decision == "proceed_reduced" and command.dose_fraction_max >= 1:
                return refuse(Code.DOSE_CEILING, "say how much of the dose: dose_fraction_max below 1")
            return accept(PredoseVitalsDecided(**dict(command)))
        case StartDosing():
            return _start(journey, command, ctx)
        case RecordDose() | RecordCheckIn() | RevokeBooster():
            record = journey.dosing.find(command.session_id)
            if record is None or record.released_at is not None:
                return refuse(Code.WRONG_STAGE, "this dosing session is not running; start it first")
            return _during(journey, record, command, ctx)
        case _:
            assert_never(command)


def _start(journey: Journey, command: StartDosing, ctx: Context) -> Decision:
    session = booked(journey, command.session_id, SessionKind.DOSING, ctx)
    if isinstance(session, Decision):
        return session
    if journey.dosing.running(command.session_id):
        return refuse(Code.ALREADY_DONE, "this dosing session has started")
    if problem := _not_today(journey, ctx):
        return problem
    evaluated, blocked = _gates(journey, command.session_id, ctx)
    if blocked is not None:
        return blocked
    rx = journey.prescriptions.usable(local_date(ctx.at, journey.patient.time_zone))
    baseline = journey.observations.latest(ctx.at)
    assert rx is not None  # NO_DOSES passed
    assert baseline is not None  # BP_GATE passed
    return accept(evaluated, DosingStarted(session_id=command.session_id, rx_id=rx.rx_id, baseline=baseline))


def _not_today(journey: Journey, ctx: Context) -> Decision | None:
    """The gates look at one day; a date in the past must not choose a better one."""
    if same_local_day(ctx.at, ctx.now, journey.patient.time_zone):
        return None
    return refuse(Code.WRONG_STAGE, "a dose is recorded on its own day; tell the prescriber about an older one")


def _gates(journey: Journey, session_id: UUID, ctx: Context) -> tuple[GatesEvaluated, Decision | None]:
    """Evaluate every gate; a blocked one is recorded with all the others, and then refused (architecture D6)."""
    from domain.journey import gates  # noqa: PLC0415  the gates look at every phase, this one too

    results = gates.evaluate(journey, ctx)
    failed = [result for result in results if not result.passed]
    evaluated = GatesEvaluated(session_id=session_id, passed=not failed, results=results)
    if not failed:
        return evaluated, None
    others = f" (also: {', '.join(result.code for result in failed[1:])})" if failed[1:] else ""
    return evaluated, refuse(Code(failed[0].code), f"{failed[0].evidence}{others}", evaluated)


def _during(
    journey: Journey,
    record: DosingRecord,
    command: RecordDose | RecordCheckIn | RevokeBooster,
    ctx: Context,
) -> Decision:
    match command:
        case RecordDose():
            return _dose(journey, record, command, ctx)
        case RecordCheckIn():
            return accept(CheckInRecorded(**dict(command)))
        case RevokeBooster():
            return accept(BoosterRevoked(**dict(command)))
        case _:
            assert_never(command)


def _dose(journey: Journey, record: DosingRecord, command: RecordDose, ctx: Context) -> Decision:
    if not_today := _not_today(journey, ctx):
        return not_today
    if ctx.at < record.started_at:
        return refuse(Code.WRONG_STAGE, "a dose follows the start of its session; correct occurred_at")
    if not command.is_booster:
        _, blocked = _gates(journey, record.session_id, ctx)
        if blocked is not None:
            return blocked
    if problem := dose_problem(journey, record, command.mg, ctx, booster=command.is_booster):
        return refuse(*problem)
    return accept(DoseTaken(**dict(command), rx_id=record.rx_id))


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here, at = journey.dosing, stamp.occurred_at
    if isinstance(event, DoseTaken | CheckInRecorded | BoosterRevoked):
        record = here.find(event.session_id)
        if record is None:
            raise HistoryCorruptError(f"{event.type} at {stamp.sequence} without a started session")
    match event:
        case PredoseAttested() | GatesEvaluated():
            return journey
        case PredoseVitalsDecided(decision=decision, dose_fraction_max=fraction):
            if here.predose is not None and not is_newest(here.predose.at, stamp):
                return journey
            predose = PredoseDecision(at=at, decision=decision, dose_fraction_max=fraction)
            return journey.model_copy(update={"dosing": here.model_copy(update={"predose": predose})})
        case DosingStarted(session_id=session_id, rx_id=rx_id, baseline=baseline):
            started = DosingRecord(session_id=session_id, rx_id=rx_id, started_at=at, baseline=baseline)
            return journey.model_copy(update={"dosing": here.model_copy(update={"records": (*here.records, started)})})
        case DoseTaken():
            return _dose_taken(journey, event, at)
        case CheckInRecorded():
            return journey.model_copy(update={"dosing": here.replace(event.session_id, last_check_in_at=at)})
        case BoosterRevoked():
            return journey.model_copy(update={"dosing": here.replace(event.session_id, booster_revoked=True)})
        case _:
            assert_never(event)


def _dose_taken(journey: Journey, event: DoseTaken, at: datetime) -> Journey:
    """The first line of a session uses up one authorised session of its prescription."""
    record = journey.dosing.find(event.session_id)
    rx = journey.prescriptions.find(event.rx_id)
    assert record is not None
    if rx is None:
        raise HistoryCorruptError("a dose from an unknown prescription")
    prescriptions = journey.prescriptions
    if not record.lines:
        prescriptions = prescriptions.replace(rx.rx_id, sessions_used=rx.sessions_used + 1)
    lines = (*record.lines, DoseLine(mg=event.mg, at=at, is_booster=event.is_booster))
    dosing = journey.dosing.replace(event.session_id, lines=lines)
    return journey.model_copy(update={"dosing": dosing, "prescriptions": prescriptions, "stage": Stage.DOSING_COURSE})


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """While a session runs the therapist owes the next look at the patient, and in the end the release."""
    rules = policy.dosing
    owed: list[Obligation] = []
    for record in journey.dosing.records:
        if record.released_at is None:
            seen = record.last_check_in_at or record.started_at
            by = seen + timedelta(minutes=rules.check_in_minutes + rules.check_in_late_minutes)
            key = f"dosing/{record.session_id}/check_in/{seen:%Y%m%dT%H%M%S}"
            owed.append(Task(key=key, code="CHECK_IN_ON_PATIENT", owner=Role.THERAPIST, due_at=by))
    return tuple(owed)
