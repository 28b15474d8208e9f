"""A webhook is a stranger until its signature says otherwise.

The signature is ``v1=`` and the hexadecimal HMAC-SHA256 over ``<timestamp>.<body>``: signing the time with the body
means that an old call cannot be sent again later. The pharmacy sends both as ``X-Pharmacy-Timestamp`` and
``X-Pharmacy-Signature``.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a body sent at ``timestamp``, Unix time in whole seconds."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify_signature(  # noqa: PLR0913 - all six decide, and only the last has a sensible default
    secret: str, timestamp: str, body: bytes, signature: str, *, now: datetime, tolerance_seconds: int = 300
) -> bool:
    """Whether somebody who knows the secret sent this body within the tolerance around ``now``.

    Anything malformed is simply not verified. The comparison takes the same time wherever they differ.
    """
    if not (secret and timestamp.isascii() and timestamp.isdigit() and signature.isascii()):
        return False
    if abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body), signature)
