"""Effect claims: the note that is made before anything is sent outside.

A worker can die between sending and recording what came of it. The next attempt finds the claim, and asks the outside
system what it knows before it sends again (architecture D17).
"""

from __future__ import annotations

from uuid import UUID

from store.pool import Pool, fetch_one
from store.queries import load

_SQL = load("claims")


class EffectClaims:
    """Claims by effect key, in the log database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, key: str, journey_id: UUID) -> bool:
        """Claim an effect; committed when this returns.

        Returns True when it had been claimed before, so that the outside must be asked first.
        """
        row = await fetch_one(self._pool, _SQL["claim"], {"key": key, "journey_id": journey_id})
        return row is not None and bool(row[0])
