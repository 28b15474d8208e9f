"""What Temporal may see of a patient: nothing. Every payload is sealed before it leaves a process.

A payload of workflow ``journey/<uuid>`` is sealed under that patient's key, any other under the system key. The owner
and the key id stand in the payload's metadata, because the codec server behind the Temporal UI is given nothing else;
both are authenticated, and the owner must agree with the workflow that the payload is found in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from vault.errors import PayloadMisplacedError, SealBrokenError
from vault.keys import DataKey, KeySource

ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
OWNER: Final = "alliance-journey"
SYSTEM_OWNER: Final = "system"

_NONCE_BYTES = 12
_JOURNEY = re.compile(r"journey/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)


def owner_of(workflow_id: str | None) -> str:
    """Whose key seals a workflow's payloads: the journey's uuid for exactly ``journey/<uuid>``, else "system"."""
    found = _JOURNEY.fullmatch(workflow_id or "")
    return found.group(1).lower() if found else SYSTEM_OWNER


class JourneyCodec(PayloadCodec, WithSerializationContext):
    """AES-256-GCM under the key of whoever the payload belongs to.

    Without a context it seals for the system, and opens by the metadata alone, as the codec server must.
    """

    def __init__(self, keys: KeySource, owner: str | None = None) -> None:
        self._keys = keys
        self._owner = owner

    def with_context(self, context: SerializationContext) -> JourneyCodec:
        """The same codec, for one workflow's payloads."""
        if isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return JourneyCodec(self._keys, owner_of(context.workflow_id))
        return JourneyCodec(self._keys)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload with a fresh nonce. Raises KeyUnknownError or KeyShreddedError."""
        owner = self._owner or SYSTEM_OWNER
        if owner == SYSTEM_OWNER:
            key = await self._keys.system_key()
        else:
            key = await self._keys.key_for_journey(UUID(owner))
        return [_seal(key, owner, payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open each sealed payload and pass on any other.

        Raises:
            PayloadMisplacedError: it belongs to another journey than the workflow it was found in.
            SealBrokenError: its bytes or its metadata were changed.
            KeyUnknownError, KeyShreddedError: from the key source.

        """
        return [await self._open(payload) for payload in payloads]

    async def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        owner, key_id = _metadata(payload)
        if self._owner is not None and owner != self._owner:
            raise PayloadMisplacedError(
                f"A payload of {owner} was found in a workflow of {self._owner}: the history was mixed up or altered; "
                "run the audit's compare on both."
            )
        return _unseal(await self._keys.key_by_id(key_id), owner, payload)


def _seal(key: DataKey, owner: str, payload: Payload) -> Payload:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = key.payload_cipher.encrypt(nonce, payload.SerializeToString(), _bound_to(owner, key.key_id))
    metadata = {"encoding": ENCODING, KEY_ID: str(key.key_id).encode(), OWNER: owner.encode()}
    return Payload(metadata=metadata, data=nonce + sealed)


def _unseal(key: DataKey, owner: str, payload: Payload) -> Payload:
    nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
    try:
        return Payload.FromString(key.payload_cipher.decrypt(nonce, sealed, _bound_to(owner, key.key_id)))
    except (InvalidTag, ValueError, DecodeError):
        raise SealBrokenError(
            f"A payload of {owner} does not open with key {key.key_id}: it was altered; restore its history from the "
            "archive and run the audit's compare."
        ) from None


def _metadata(payload: Payload) -> tuple[str, UUID]:
    """Owner and key id as they stand in the payload. They are trusted only once the seal has opened."""
    try:
        owner = payload.metadata[OWNER].decode()
        if owner != SYSTEM_OWNER:
            owner = str(UUID(owner))
        return owner, UUID(payload.metadata[KEY_ID].decode())
    except (KeyError, ValueError):
        raise SealBrokenError(
            f"A sealed payload does not say in {OWNER} and {KEY_ID} whose it is: it was altered, or sealed by "
            "something else than Alliance."
        ) from None


def _bound_to(owner: str, key_id: UUID) -> bytes:
    """The associated data: fixed-length key id first, so the two cannot run into each other."""
    return key_id.bytes + owner.encode()
