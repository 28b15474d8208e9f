"""Webhook signatures: who may tell us that a prescription was filled."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from runtime.webhooks import sign, verify_signature

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMESTAMP = str(int(NOW.timestamp()))
ARABIC = TIMESTAMP.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
BODY = b'{"Header":{"MessageID":"1"}}'
SECRET = "webhook secret"


def test_signature_is_as_agreed() -> None:
    """``v1=`` and the hexadecimal HMAC-SHA256 over timestamp, full stop and body."""
    expected = hmac.new(SECRET.encode(), f"{TIMESTAMP}.".encode() + BODY, hashlib.sha256).hexdigest()

    assert f"v1={expected}" == sign(SECRET, TIMESTAMP, BODY)
    assert verify_signature(SECRET, TIMESTAMP, BODY, f"v1={expected}", now=NOW)


@pytest.mark.parametrize(
    ("secret", "timestamp", "body", "signature"),
    [
        ("another secret", TIMESTAMP, BODY, sign(SECRET, TIMESTAMP, BODY)),
        (SECRET, TIMESTAMP, BODY + b" ", sign(SECRET, TIMESTAMP, BODY)),
        (SECRET, str(int(TIMESTAMP) + 1), BODY, sign(SECRET, TIMESTAMP, BODY)),
        (SECRET, TIMESTAMP, BODY, sign(SECRET, TIMESTAMP, BODY).removeprefix("v1=")),
        (SECRET, TIMESTAMP, BODY, ""),
        (SECRET, TIMESTAMP, BODY, "v1=\u00e9"),
        (SECRET, "soon", BODY, sign(SECRET, "soon", BODY)),
        (SECRET, ARABIC, BODY, sign(SECRET, ARABIC, BODY)),
        ("", TIMESTAMP, BODY, sign("", TIMESTAMP, BODY)),
    ],
    ids=["secret", "body", "time", "no version", "none", "not ascii", "no time", "foreign digits", "empty secret"],
)
def test_forgeries_are_refused(secret: str, timestamp: str, body: bytes, signature: str) -> None:
    """One difference anywhere, or anything malformed, and it is not verified."""
    assert not verify_signature(secret, timestamp, body, signature, now=NOW)


@pytest.mark.parametrize(
    ("age_seconds", "verified"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_old_recordings_are_refused(age_seconds: int, verified: bool) -> None:
    """A genuine call counts for five minutes around now, and not a second longer."""
    now = NOW + timedelta(seconds=age_seconds)

    assert verified is verify_signature(SECRET, TIMESTAMP, BODY, sign(SECRET, TIMESTAMP, BODY), now=now)
