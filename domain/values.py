"""The kinds of value everything else is made of: frozen, strict, closed to unknown fields.

Strict matters clinically: in lax mode ``{"phq9": false}`` would score as 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints


class Value(BaseModel):
    """A value: two with the same content are the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
TOO_LATE: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""The first moment that is none of ours. Rules add and subtract days; at the ends of the calendar that would crash."""


def to_utc(moment: datetime) -> datetime:
    """Bring an aware moment to UTC. Raises ValueError for one outside the years 1900 to 2199."""
    if not EARLIEST <= moment < TOO_LATE:
        raise ValueError("a moment lies in the years 1900 to 2199")
    return moment.astimezone(UTC)


Instant: TypeAlias = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""A moment in the years 1900 to 2199, always with a zone, kept in UTC."""


def _storable(text: str) -> str:
    """Refuse what no database and no canonical JSON can hold: it would stall an append for ever."""
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("text may not hold NUL or half a surrogate pair")
    return text


ShortText: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_storable)
]
LongText: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=8000, strip_whitespace=True), AfterValidator(_storable)
]
StateCode: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""A US state, as its two-letter USPS code."""

Json: TypeAlias = dict[str, Any]

NAMESPACE = UUID("5f0c7f0e-3f39-5c0e-9f34-0b7f4a5c2a11")
"""Name space of every UUID that is derived from another id rather than drawn."""
