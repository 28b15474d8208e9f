"""Civil time: business days and local days, for deadlines and for "the same day" (domain.md §6.1, architecture D16).

Moments come in with any zone and go out in UTC; the zone that a rule means is always an argument.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ONE_DAY = timedelta(days=1)
_SATURDAY = 5


class UnknownZoneError(ValueError):
    """That is not an IANA time zone."""


def _read_holidays() -> frozenset[date]:
    """Read the shipped calendar: a deadline must not move because a library was updated (architecture D8)."""
    lines = (files("domain.data") / "us_federal_holidays.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(date.fromisoformat(line[:10]) for line in lines if not line.startswith("#"))


FEDERAL_HOLIDAYS = _read_holidays()
"""The days on which federal offices are closed, as observed."""


def zone_of(zone_name: str) -> ZoneInfo:
    """Find the zone of that IANA name, such as America/New_York. Raises UnknownZoneError."""
    try:
        return ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZoneError("not an IANA time zone; use a name such as America/New_York") from error


def is_business_day(day: date) -> bool:
    """Whether offices are open: Monday to Friday and no US federal holiday, as observed."""
    return day.weekday() < _SATURDAY and day not in FEDERAL_HOLIDAYS


def add_business_days(start: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Count business days on from a moment: the same local time on the n-th business day after its local day.

    So one business day from Friday 15:00 is Monday 15:00, and from Saturday 10:00 Monday 10:00. Across a change of
    the clocks the local time stays. 0 days is the moment itself. Raises ValueError for a naive moment or negative days.
    """
    if days < 0:
        raise ValueError("business days are counted forward; give 0 or more")
    local = _local(start, zone)
    day = local.date()
    left = days
    while left:
        day += _ONE_DAY
        left -= is_business_day(day)
    return start.astimezone(UTC) if days == 0 else datetime.combine(day, local.time(), zone).astimezone(UTC)


def local_date(moment: datetime, zone_name: str) -> date:
    """Tell the calendar date of a moment in a zone. Raises ValueError for a naive moment, UnknownZoneError."""
    return _local(moment, zone_of(zone_name)).date()


def same_local_day(a: datetime, b: datetime, zone_name: str) -> bool:
    """Whether two moments fall on one calendar date in a zone. Raises as ``local_date``."""
    return local_date(a, zone_name) == local_date(b, zone_name)


def end_of_local_day(moment: datetime, zone_name: str) -> datetime:
    """Find the first moment of the next local day, in UTC: a day is over when ``now >= end``.

    Raises as ``local_date``.
    """
    tomorrow = local_date(moment, zone_name) + _ONE_DAY
    return datetime.combine(tomorrow, time(), zone_of(zone_name)).astimezone(UTC)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its zone; give an aware datetime")
    return moment.astimezone(zone)
