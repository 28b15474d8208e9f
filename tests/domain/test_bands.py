"""Blood pressure and heart rate in bands: domain.md §5.2, and §10's gate vectors, on both sides of every limit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.journey.observations import Alarm, Observations, Reading
from domain.journey.vital_bands import during_dose, may_go_home, pre_dose
from tests.domain.kit import day
from tests.domain.stages import POLICY

RULES = POLICY.dosing
NOW = day(22)


def reading(systolic: int, diastolic: int, heart_rate: int = 74, *alarms: Alarm, age: float = 0) -> Reading:
    """A reading taken ``age`` minutes ago."""
    at = NOW - timedelta(minutes=age)
    return Reading(taken_at=at, systolic=systolic, diastolic=diastolic, heart_rate=heart_rate, alarms=alarms)


@pytest.mark.parametrize(
    ("systolic", "diastolic", "heart_rate", "band"),
    [
        (139, 89, 88, "P1"),
        (140, 85, 74, "P2"),
        (138, 90, 74, "P2"),
        (159, 99, 74, "P2"),
        (160, 88, 74, "P3"),
        (150, 100, 74, "P3"),
        (179, 119, 74, "P3"),
        (180, 88, 74, "P4"),
        (182, 90, 74, "P4"),
        (130, 120, 74, "P4"),
        (120, 80, 50, "P1"),
        (120, 80, 49, "P3"),
        (120, 80, 100, "P1"),
        (120, 80, 101, "P2"),
        (120, 80, 115, "P2"),
        (120, 80, 116, "P3"),
        (182, 90, 49, "P4"),
    ],
)
def test_before_a_dose(systolic: int, diastolic: int, heart_rate: int, band: str) -> None:
    """The worst of pressure and heart rate gives the band; a limit belongs to the band above it."""
    assert band == pre_dose(reading(systolic, diastolic, heart_rate), RULES)


@pytest.mark.parametrize(
    ("systolic", "diastolic", "alarms", "band"),
    [
        (159, 99, (), "D1"),
        (160, 80, (), "D2"),
        (150, 100, (), "D2"),
        (179, 109, (), "D2"),
        (180, 80, (), "D3"),
        (150, 110, (), "D3"),
        (186, 112, (Alarm.CHEST_PAIN,), "D4"),
        (150, 110, (Alarm.SYNCOPE,), "D4"),
        (159, 99, (Alarm.CHEST_PAIN,), "D1"),
    ],
)
def test_during_a_dose(systolic: int, diastolic: int, alarms: tuple[Alarm, ...], band: str) -> None:
    """D3 becomes D4 with an alarm symptom; headache 3/10 or vomiting is none and cannot be entered as one."""
    assert band == during_dose(reading(systolic, diastolic, 74, *alarms), RULES)


@pytest.mark.parametrize(
    ("now", "baseline", "unmet"),
    [
        (reading(150, 95), reading(122, 78), []),
        (reading(151, 95), reading(122, 78), ["blood pressure"]),
        (reading(150, 96), reading(122, 78), ["blood pressure"]),
        (reading(152, 96), reading(139, 89), []),
        (reading(153, 96), reading(139, 89), ["blood pressure"]),
        (reading(160, 90), reading(150, 90), ["blood pressure"]),
        (reading(120, 80, 50), reading(122, 78), []),
        (reading(120, 80, 49), reading(122, 78), ["heart rate"]),
        (reading(120, 80, 110), reading(122, 78), []),
        (reading(120, 80, 111), reading(122, 78), ["heart rate"]),
        (reading(120, 80, 74, Alarm.SYNCOPE), reading(122, 78), ["no alarm symptom"]),
        (reading(120, 80, 74, age=15), reading(122, 78), []),
        (reading(120, 80, 74, age=15.1), reading(122, 78), ["vital signs within 15 minutes"]),
        (None, reading(122, 78), ["vital signs within 15 minutes"]),
    ],
)
def test_vital_signs_on_the_way_home(now: Reading | None, baseline: Reading, unmet: list[str]) -> None:
    """At most 150/95, or within 10 % of the day's baseline and below 160/100; heart rate 50 to 110; 15 minutes old."""
    assert unmet == may_go_home(now, baseline, NOW, RULES.release)


def test_the_latest_reading_is_the_one_entered_last_of_its_moment() -> None:
    """Readings count by when they were taken; of two at one moment the correction counts, and none of later."""
    wrong, right = reading(118, 74), reading(158, 98)
    older, newer = reading(120, 80, age=5), reading(120, 80, age=-5)

    assert right == Observations(readings=(newer, wrong, right, older)).latest(NOW)
    assert Observations(readings=(newer,)).latest(NOW) is None
