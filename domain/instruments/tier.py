"""The tiers of suicide risk, in their clinical order (domain.md §4.3)."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """none < low < moderate < high < imminent. IMMINENT is set by a clinician, never by the screener.

    Compared by rank: as plain strings "high" would sort before "low".
    """

    NONE = "none"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    IMMINENT = "imminent"

    @property
    def rank(self) -> int:
        """0 for NONE up to 4 for IMMINENT."""
        return list(Tier).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < Tier(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Tier(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Tier(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Tier(other).rank
