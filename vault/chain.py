"""The hash chain of one stream: each record vouches for everything before it.

Only stored bytes are hashed, never parsed, so a whole log is proved at the speed of SHA-256, without any key: after a
patient's key is destroyed the proof still stands. The database computes the same link in ``link_hash``
(``store/migrations/log``); a test holds the two together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from domain.envelope import GENESIS

GENESIS_HASH = bytes.fromhex(GENESIS)
"""What stands before the first record of a stream."""

_TAG = b"alliance.chain.v1\x00"


class Chained(Protocol):
    """A stored record, as far as the chain looks at it."""

    @property
    def header(self) -> bytes: ...

    @property
    def ciphertext(self) -> bytes: ...

    @property
    def hash(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Break:
    """The first record that does not follow from those before it. ``position`` counts from 0 in the rows given."""

    position: int
    expected: bytes
    stored: bytes


def link(previous: bytes, header: bytes, ciphertext: bytes) -> bytes:
    """The 32 bytes that follow ``previous`` for this record.

    SHA-256 over tag, previous, and both parts with their length (64 bits, big-endian) in front, so that no byte can
    move from one part to the other unnoticed.
    """
    return hashlib.sha256(
        b"".join(
            (
                _TAG,
                previous,
                len(header).to_bytes(8, "big"),
                header,
                len(ciphertext).to_bytes(8, "big"),
                ciphertext,
            )
        )
    ).digest()


def verify(rows: Iterable[Chained], start: bytes = GENESIS_HASH) -> Break | None:
    """The first break in these rows, in their order, or None when they all hold.

    ``start`` is the hash before the first row given. Rows cut off the end cannot be seen here: compare the last hash
    with the head that somebody else knows (the stream's, Temporal's, the signed tree's).
    """
    previous = start
    for position, row in enumerate(rows):
        expected = link(previous, row.header, row.ciphertext)
        stored = row.hash
        if expected != stored:
            return Break(position, expected, stored)
        previous = stored
    return None
