"""The key-encryption keys of a single machine: a JSON file that only its owner may read.

For development, demos and small practices; a practice with a KMS implements ``vault.keys.KeyProvider`` over that.
Several KEKs may stand in the file: the last one wraps, all unwrap, so a KEK is replaced by adding one, re-wrapping the
data keys, and removing the old.
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, ValidationError

from domain.values import Value
from vault.errors import KekFileError, KeyUnknownError, SealBrokenError
from vault.keys import WrappedKey

_NONCE_BYTES = 12
_KEK_BYTES = 32


class Kek(Value):
    """One key-encryption key. ``secret`` is 32 bytes in base64."""

    id: str = Field(min_length=1, max_length=64)
    secret: str = Field(repr=False)

    def cipher(self) -> AESGCM:
        return AESGCM(b64decode(self.secret, validate=True))


class KekFile(Value):
    """The whole file, oldest KEK first."""

    keks: tuple[Kek, ...] = Field(min_length=1)


class LocalFileKek:
    """A ``KeyProvider`` over a file of KEKs."""

    def __init__(self, keks: KekFile) -> None:
        self._newest = keks.keks[-1].id
        self._ciphers = {kek.id: kek.cipher() for kek in keks.keks}

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> LocalFileKek:
        """Read the file; with ``create``, make one with a fresh KEK when there is none.

        Raises:
            KekFileError: it is missing, others may read it, or it is not a KEK file.

        """
        if create and not path.exists():
            _write_new(path, KekFile(keks=(_fresh(),)))
        return cls(read_keks(path))

    async def wrap(self, key_id: UUID, secret: bytes) -> WrappedKey:
        nonce = os.urandom(_NONCE_BYTES)
        return WrappedKey(self._newest, nonce + self._ciphers[self._newest].encrypt(nonce, secret, key_id.bytes))

    async def unwrap(self, key_id: UUID, wrapped: WrappedKey) -> bytes:
        cipher = self._ciphers.get(wrapped.kek_id)
        if cipher is None:
            raise KeyUnknownError(f"No KEK {wrapped.kek_id} in the KEK file: restore it from the key backup.")
        nonce, sealed = wrapped.wrapped[:_NONCE_BYTES], wrapped.wrapped[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, key_id.bytes)
        except (InvalidTag, ValueError):
            raise SealBrokenError(
                f"Data key {key_id} does not unwrap with KEK {wrapped.kek_id}: its row was changed or belongs to "
                "another environment; restore it from the key backup."
            ) from None


def read_keks(path: Path) -> KekFile:
    """The KEKs in a file. Raises KekFileError with what to do next."""
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise KekFileError(
            f"The KEK file {path} cannot be read ({error.strerror}): restore it from the key backup, "
            "or create one if this environment is new."
        ) from error
    if mode & 0o077:
        raise KekFileError(f"The KEK file {path} is open to others (mode {mode & 0o777:04o}): run chmod 600 on it.")
    try:
        keks = KekFile.model_validate_json(text)
        for kek in keks.keks:
            kek.cipher()
    except (ValidationError, ValueError):
        # A parser's message would quote the file, and the file is all secrets.
        raise KekFileError(f"The KEK file {path} is damaged: restore it from the key backup.") from None
    return keks


def add_kek(path: Path) -> str:
    """Add a fresh KEK that wraps from now on; returns its id. Every process must read the file again."""
    keks = read_keks(path)
    fresh = _fresh()
    beside = _write_beside(path, KekFile(keks=(*keks.keks, fresh)))
    beside.replace(path)
    return fresh.id


def _fresh() -> Kek:
    return Kek(id=f"local-{secrets.token_hex(4)}", secret=b64encode(os.urandom(_KEK_BYTES)).decode())


def _write_new(path: Path, keks: KekFile) -> None:
    """Put the whole file in place at once; when another process was first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = _write_beside(path, keks)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _write_beside(path: Path, keks: KekFile) -> Path:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(keks.model_dump_json(indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    return beside
