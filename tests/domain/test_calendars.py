"""Business days and local days, in the zone a rule means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from holidays.countries.united_states import UnitedStates
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendars import (
    FEDERAL_HOLIDAYS,
    UnknownZoneError,
    add_business_days,
    end_of_local_day,
    is_business_day,
    local_date,
    same_local_day,
)

NEW_YORK = "America/New_York"
ZONE = ZoneInfo(NEW_YORK)


def at(year: int, month: int, day: int, hour: int = 15, minute: int = 0) -> datetime:
    """Read a New York wall clock."""
    return datetime(year, month, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("start", "days", "deadline"),
    [
        pytest.param(at(2026, 5, 22), 1, at(2026, 5, 26), id="over a weekend and Memorial Day"),
        pytest.param(at(2026, 5, 25), 1, at(2026, 5, 26), id="from a holiday"),
        pytest.param(at(2026, 6, 6, 10), 1, at(2026, 6, 8, 10), id="from a Saturday"),
        pytest.param(at(2026, 6, 3), 5, at(2026, 6, 10), id="a week"),
        pytest.param(at(2026, 7, 2), 1, at(2026, 7, 6), id="over a holiday observed on Friday"),
        pytest.param(at(2027, 12, 30), 1, at(2028, 1, 3), id="over New Year observed in the old year"),
        pytest.param(at(2026, 3, 6), 1, at(2026, 3, 9), id="into summer time, same wall clock"),
        pytest.param(at(2026, 10, 30), 1, at(2026, 11, 2), id="out of summer time, same wall clock"),
        pytest.param(at(2026, 6, 6, 10), 0, at(2026, 6, 6, 10), id="none at all"),
    ],
)
def test_business_days_skip_weekends_and_federal_holidays(start: datetime, days: int, deadline: datetime) -> None:
    """The deadline is the same wall clock on the n-th business day after the local day of the start."""
    found = add_business_days(start, days, ZONE)

    assert deadline == found
    assert UTC is found.tzinfo


def test_the_clocks_change_the_length_of_a_business_day() -> None:
    """From Friday to Monday is 71 hours when the clocks go forward between them."""
    start = at(2026, 3, 6)

    assert 71 * 3600 == (add_business_days(start, 1, ZONE) - start).total_seconds()


def test_the_zone_decides_which_day_it_is() -> None:
    """Friday 22:30 in New York is Saturday in UTC, and one business day on is Monday 22:30 all the same."""
    start = at(2026, 6, 5, 22, 30).astimezone(UTC)

    assert at(2026, 6, 8, 22, 30) == add_business_days(start, 1, ZONE)


def test_negative_days_and_naive_moments_are_refused() -> None:
    """Deadlines lie ahead, and a moment without a zone is no moment."""
    with pytest.raises(ValueError, match="give 0 or more"):
        add_business_days(at(2026, 6, 5), -1, ZONE)
    with pytest.raises(ValueError, match="needs its zone"):
        add_business_days(datetime(2026, 6, 5), 1, ZONE)  # noqa: DTZ001 - naive on purpose


def test_a_moment_has_the_date_of_its_place() -> None:
    """An hour before midnight in New York is tomorrow in UTC and today in Los Angeles."""
    moment = at(2026, 6, 5, 23)

    assert date(2026, 6, 5) == local_date(moment.astimezone(UTC), NEW_YORK)
    assert date(2026, 6, 6) == local_date(moment, "UTC")
    assert same_local_day(moment, at(2026, 6, 6, 1), "America/Los_Angeles")
    assert not same_local_day(moment, at(2026, 6, 6, 1), NEW_YORK)


@pytest.mark.parametrize(("day", "hours"), [(7, 24), (8, 23)])
def test_a_local_day_ends_at_the_next_midnight(day: int, hours: int) -> None:
    """The end is the first moment of the next day, 23 hours after midnight when the clocks go forward."""
    midnight = at(2026, 3, day, 0)

    assert at(2026, 3, day + 1, 0) == end_of_local_day(at(2026, 3, day, 12), NEW_YORK)
    assert hours * 3600 == (end_of_local_day(midnight, NEW_YORK) - midnight.astimezone(UTC)).total_seconds()


@pytest.mark.parametrize("name", ["America/Nowhere", "", "../etc", "Alliance", "America"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    """A place without a zone is an error to correct, never UTC by default."""
    with pytest.raises(UnknownZoneError, match="use a name such as America/New_York"):
        local_date(at(2026, 6, 5), name)


@given(start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(ZONE)), days=st.integers(1, 15))  # noqa: DTZ001 - hypothesis adds the zone
@settings(max_examples=100, deadline=None, derandomize=True)
def test_one_more_business_day_is_always_a_later_business_day(start: datetime, days: int) -> None:
    """Deadlines fall on business days and grow with the number of days."""
    deadline = add_business_days(start, days, ZONE)

    assert is_business_day(deadline.astimezone(ZONE).date())
    assert start < deadline < add_business_days(start, days + 1, ZONE)


def test_the_shipped_holidays_are_those_of_the_statute() -> None:
    """The calendar file agrees with the `holidays` library on every day that it covers."""
    oracle = UnitedStates(years=range(2020, 2046))  # type: ignore[no-untyped-call]

    assert frozenset(day for day in oracle if 2020 <= day.year <= 2045) == FEDERAL_HOLIDAYS
