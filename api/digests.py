"""Digests of what somebody wrote, where they stand in clear: keyed, so that they confirm no guess.

They die with their key, as domain.md §8.2.13 asks.
"""

from __future__ import annotations

import hashlib
import hmac

from vault.keys import DataKey


def keyed_digest(key: DataKey, purpose: str, digest: str) -> str:
    """Key a digest, 64 hex digits. ``purpose`` keeps digests of different uses apart."""
    return hmac.new(key.secret, f"alliance/api/{purpose}\n{digest}".encode(), hashlib.sha256).hexdigest()
