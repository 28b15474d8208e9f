"""Data keys, and what hands them out.

A patient's data key never touches a disk in clear: it is wrapped by a key-encryption key (KEK) that a ``KeyProvider``
holds (``vault.kek`` for a file; a KMS fits the same protocol). Two keys are derived from each data key, one per use, so
that neither cipher can ever be turned against the other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32


@dataclass(frozen=True)
class DataKey:
    """One patient's (or the system's) key. ``secret`` is 32 random bytes and shows in no repr."""

    key_id: UUID
    version: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError(f"A data key is {SECRET_BYTES} bytes, not {len(self.secret)}.")

    @classmethod
    def generate(cls, key_id: UUID, version: int) -> DataKey:
        """A fresh random key."""
        return cls(key_id, version, os.urandom(SECRET_BYTES))

    @cached_property
    def log_cipher(self) -> AESSIV:
        """AES-256-SIV (two 256-bit halves) for the event log."""
        return AESSIV(self._derive(b"alliance/log/aes-siv-512", 64))

    @cached_property
    def payload_cipher(self) -> AESGCM:
        """AES-256-GCM for Temporal payloads. Random 96-bit nonces: fewer than 2**32 payloads per key (SP 800-38D)."""
        return AESGCM(self._derive(b"alliance/temporal/aes-256-gcm", 32))

    def _derive(self, purpose: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt=None, info=purpose + b"/" + self.key_id.bytes).derive(self.secret)


@dataclass(frozen=True)
class WrappedKey:
    """A data key's secret as it may be stored: ``wrapped`` opens only with the KEK named ``kek_id``."""

    kek_id: str
    wrapped: bytes = field(repr=False)


class KeyProvider(Protocol):
    """Holds KEKs that never leave it. ``key_id`` is authenticated: a wrapped key cannot stand in for another."""

    async def wrap(self, key_id: UUID, secret: bytes) -> WrappedKey:
        """Wrap under the newest KEK."""
        ...

    async def unwrap(self, key_id: UUID, wrapped: WrappedKey) -> bytes:
        """Unwrap under the KEK it names. Raises KeyUnknownError or SealBrokenError."""
        ...


class KeySource(Protocol):
    """Where sealing and the codec get keys from. Implementations cache: the codec asks for every payload.

    Each method raises KeyUnknownError, or KeyShreddedError when the key was destroyed.
    """

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        """The newest key of the patient whose journey this is."""
        ...

    async def key_by_id(self, key_id: UUID) -> DataKey:
        """The key that something was sealed with, of whatever version."""
        ...

    async def system_key(self) -> DataKey:
        """The key of everything that is no patient's: schedules, escalations, bulk operations."""
        ...
