"""Which band a reading falls in: P1–P4 before a dose, D1–D4 during it, and whether a patient may go home.

Pure arithmetic over policy numbers (domain.md §1.3, §5.2). What to do about a band is for gates and people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from domain.journey.observations import Reading
from domain.protocols import DosingRules, Pressure, ReleaseRules

Pre: TypeAlias = Literal["P1", "P2", "P3", "P4"]
During: TypeAlias = Literal["D1", "D2", "D3", "D4"]


def _below(reading: Reading, limit: Pressure) -> bool:
    return reading.systolic < limit.systolic and reading.diastolic < limit.diastolic


def pre_dose(reading: Reading, rules: DosingRules) -> Pre:
    """P1 proceed, P2 rest and repeat or ask the prescriber, P3 no dose today, P4 no dose and contact now."""
    bands, rate = rules.pre, reading.heart_rate
    if not _below(reading, bands.p3):
        return "P4"
    if not _below(reading, bands.p2) or rate < bands.p1_heart_rate.low or rate > bands.p2_heart_rate_max:
        return "P3"
    if not _below(reading, bands.p1) or rate > bands.p1_heart_rate.high:
        return "P2"
    return "P1"


def during_dose(reading: Reading, rules: DosingRules) -> During:
    """D1 continue, D2 no booster, D3 page, D4 emergency: a D3 reading with an alarm symptom."""
    if _below(reading, rules.during.d1):
        return "D1"
    if _below(reading, rules.during.d2):
        return "D2"
    return "D4" if reading.alarms else "D3"


def may_go_home(reading: Reading | None, baseline: Reading | None, at: datetime, rules: ReleaseRules) -> list[str]:
    """Which release criteria about vital signs are not met (domain.md §1.3); empty when all are."""
    if reading is None or at - reading.taken_at > timedelta(minutes=rules.vitals_max_age_minutes):
        return [f"vital signs within {rules.vitals_max_age_minutes} minutes"]
    unmet = []
    plain = reading.systolic <= rules.systolic_max and reading.diastolic <= rules.diastolic_max
    near_baseline = (
        baseline is not None
        and reading.systolic <= baseline.systolic * (1 + rules.over_baseline_fraction)
        and reading.diastolic <= baseline.diastolic * (1 + rules.over_baseline_fraction)
        and _below(reading, rules.over_baseline_limit)
    )
    if not (plain or near_baseline):
        unmet.append("blood pressure")
    if not rules.heart_rate.low <= reading.heart_rate <= rules.heart_rate.high:
        unmet.append("heart rate")
    if reading.alarms:
        unmet.append("no alarm symptom")
    return unmet
