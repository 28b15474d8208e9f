"""Keeps a safety submission that Temporal did not take, until it does (architecture D12).

One sealed file per submission, on disk before the client hears of it. Sealed under the system's key, which this
process holds in memory: when this is needed, no database may answer.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from pydantic import ValidationError

from domain.envelope import CommandEnvelope
from domain.values import Instant, Value
from vault.keys import DataKey

log = structlog.get_logger(__name__)

_NONCE_BYTES: Final = 12
_SUFFIX: Final = ".sealed"
_DAMAGED: Final = ".damaged"


class Submission(Value):
    """A command with the page that it calls for. ``paged`` once a pager or an escalation has it."""

    journey_id: UUID
    case_id: UUID
    raised_at: Instant
    envelope: CommandEnvelope
    paged: bool = False


class Inbox:
    """A folder of submissions, named by their command ids; ``key`` is the system's."""

    def __init__(self, folder: Path, key: DataKey) -> None:
        self._folder = folder
        self._key = key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def keep(self, submission: Submission) -> None:
        """Write a submission, or write it anew; it survives a power cut when this returns. Raises OSError."""
        await asyncio.to_thread(self._write, submission)

    async def discard(self, submission: Submission) -> None:
        """Forget a submission that was answered."""
        await asyncio.to_thread(self._path(submission).unlink, missing_ok=True)

    async def all(self) -> list[Submission]:
        """Read what is kept, oldest first. A file that does not open is set aside for a person, never deleted."""
        return await asyncio.to_thread(self._read_all)

    def _path(self, submission: Submission) -> Path:
        return self._folder / f"{submission.journey_id}.{submission.envelope.command_id}{_SUFFIX}"

    def _write(self, submission: Submission) -> None:
        path = self._path(submission)
        nonce = os.urandom(_NONCE_BYTES)
        clear = submission.model_dump_json().encode()
        sealed = nonce + self._key.payload_cipher.encrypt(nonce, clear, path.name.encode())
        beside = path.with_suffix(".tmp")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name as well as the content
        finally:
            os.close(folder)

    def _read_all(self) -> list[Submission]:
        found = (self._read(path) for path in self._folder.glob(f"*{_SUFFIX}"))
        return sorted((one for one in found if one is not None), key=lambda one: one.raised_at)

    def _read(self, path: Path) -> Submission | None:
        try:
            sealed = path.read_bytes()
            clear = self._key.payload_cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], path.name.encode())
            return Submission.model_validate_json(clear)
        except FileNotFoundError:
            return None  # answered meanwhile
        except (InvalidTag, ValueError, ValidationError):
            log.error("kept_submission_damaged", step="set_aside")  # noqa: TRY400  the exception may quote content
            path.replace(path.with_suffix(_DAMAGED))
            return None
