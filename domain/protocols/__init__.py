"""Rules as data: one file per protocol version, read once at import, hashed (architecture D8).

Reading these files is the only thing the domain ever reads. A journey names the version it runs under, so a file
that journeys have run under is never edited: a changed rule is a new file.
"""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date, datetime
from importlib.resources import files
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from domain.calendars import add_business_days
from domain.envelope import PolicyRef
from domain.instruments import Tier
from domain.values import ShortText, Value


class Pressure(Value):
    """Blood pressure limits, mmHg."""

    systolic: int
    diastolic: int


class Range(Value):
    low: int
    high: int


class Substance(Value):
    name: ShortText
    rxnorm: ShortText
    schedule: Literal["I", "II", "III", "IV", "V"]
    route: ShortText
    route_snomed: ShortText
    form: ShortText


class OnboardingRules(Value):
    questionnaires: tuple[ShortText, ...]
    minimum_age_years: int


class EligibilityRules(Value):
    valid_days: int
    start_within_days: int
    blood_pressure_readings_min: int
    pregnancy_test_max_age_days: int
    override_rationale_length_min: int
    criteria: dict[str, Literal["I", "A", "T", "C"]]


class TelemedicineBasis(Value):
    """A legal basis, good from its first day to its last, in the prescriber's registered zone."""

    id: ShortText
    effective_from: date
    effective_to: date
    source: ShortText


class PrescriptionRules(Value):
    first_batch_sessions_max: int
    follow_batch_sessions_max: int
    refills: int
    expires_months: int
    pdmp_max_age_hours: int
    pdmp_review_prescribers_min: int
    telemedicine_bases: tuple[TelemedicineBasis, ...]


class PreDoseBands(Value):
    p1: Pressure
    p2: Pressure
    p3: Pressure
    p1_heart_rate: Range
    p2_heart_rate_max: int


class DuringBands(Value):
    d1: Pressure
    d2: Pressure


class ReleaseRules(Value):
    minutes_min: int
    systolic_max: int
    diastolic_max: int
    over_baseline_fraction: float
    over_baseline_limit: Pressure
    vitals_max_age_minutes: int
    heart_rate: Range


class PreparationRules(Value):
    sessions_min: int


class DosingRules(Value):
    sessions_min: int
    sessions_max: int
    interval_days_min: int
    integration_days_max: int
    vitals_max_age_minutes: int
    recheck_wait_minutes: int
    rechecks_max: int
    check_in_minutes: int
    check_in_late_minutes: int
    follow_up_after_doses: int
    follow_up_days: int
    follow_up_breach_days: int
    first_dose_mg_max: float
    dose_mg_max: float
    session_mg_max: float
    session_mg_per_kg_max: float
    booster_fraction_max: float
    pre: PreDoseBands
    during: DuringBands
    release: ReleaseRules


class OutcomeRules(Value):
    instruments: tuple[ShortText, ...]
    not_on_track_doses_min: int
    not_on_track_weeks_min: int
    not_on_track_percent: float
    not_on_track_points: int
    questionnaire_before_doses: tuple[int, ...]
    questionnaire_before_dose_days: int
    after_course_months: tuple[int, ...]
    after_course_early_days: int


class SafetyRules(Value):
    tier_dosing_max: Tier
    page_answer_minutes: int


class ClockRules(Value):
    practice_time_zone: ShortText
    referral_acknowledged_business_days: int
    intake_booked_business_days: int
    intake_held_days: int
    decision_business_days: int
    prescription_business_days: int
    delivery_business_days: int
    first_dose_days: int
    inactivity_days: int
    hold_review_days: int
    session_note_hours: int
    reminder_hours_before: int
    append_stall_seconds: int

    def business_days_after(self, start: datetime, days: int) -> datetime:
        """The same local time on the n-th business day of the practice."""
        return add_business_days(start, days, ZoneInfo(self.practice_time_zone))


class Protocol(Value):
    """One protocol version: every number the rules need, and the SHA-256 of the file it came from."""

    id: ShortText
    version: ShortText
    title: ShortText
    effective_from: date
    approved_by: ShortText
    substance: Substance
    consents: dict[str, int]
    onboarding: OnboardingRules
    eligibility: EligibilityRules
    prescription: PrescriptionRules
    preparation: PreparationRules
    dosing: DosingRules
    outcomes: OutcomeRules
    safety: SafetyRules
    clocks: ClockRules
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def ref(self) -> PolicyRef:
        return PolicyRef(version=self.version, digest=self.digest)


class ProtocolInvalidError(Exception):
    """A protocol file that must not be run under. Names the file and every field that is wrong."""


class ProtocolUnknownError(Exception):
    """A journey names a protocol version that this build does not contain (architecture D7)."""


def parse(name: str, content: bytes) -> Protocol:
    """Read one protocol file. Raises ProtocolInvalidError naming file and fields."""
    try:
        raw = tomllib.loads(content.decode())
        # Lists become tuples and text becomes enums here, so this one reading is not strict about containers.
        return Protocol.model_validate({**raw, "digest": hashlib.sha256(content).hexdigest()}, strict=False)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolInvalidError(f"{name} is not TOML: {error}") from error
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ProtocolInvalidError(f"{name}: {fields}") from error


def _read_all() -> dict[str, Protocol]:
    found = (
        parse(entry.name, entry.read_bytes())
        for entry in sorted(files(__package__).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    )
    return {protocol.version: protocol for protocol in found}


CATALOGUE = MappingProxyType(_read_all())
"""Every protocol version shipped with this build, by version."""


def protocol(version: str) -> Protocol:
    """The protocol of exactly this version. Raises ProtocolUnknownError."""
    try:
        return CATALOGUE[version]
    except KeyError:
        known = ", ".join(CATALOGUE)
        raise ProtocolUnknownError(f"this build has no protocol {version}; it has {known}") from None


def newest(protocol_id: str) -> Protocol | None:
    """The newest version of a protocol, for a journey that is about to open."""
    versions = [p for p in CATALOGUE.values() if p.id == protocol_id]
    return max(versions, key=lambda p: (p.effective_from, p.version), default=None)
