"""Sealing what an event says under the patient's key.

AES-SIV (RFC 5297) is deterministic: a retried append seals to the very same bytes, which is how the log recognises it
(architecture D4). It also needs no nonce that a restarted worker could repeat. The price is that equal contents *at the
same place* look equal; place is part of what is authenticated, so no two events ever share it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from domain.envelope import Content, Header
from vault.canonical import content_bytes, parse_content
from vault.errors import SealBrokenError
from vault.keys import DataKey


def seal(key: DataKey, header: Header, content: Content) -> bytes:
    """The ciphertext of a content, bound to its journey, sequence and versioned type.

    Raises:
        SealBrokenError: the header names another key version than the key given.

    """
    _same_version(key, header)
    return key.log_cipher.encrypt(content_bytes(content), _place(header))


def open_sealed(key: DataKey, header: Header, ciphertext: bytes) -> Content:
    """The content that was sealed at this header's place.

    Raises:
        SealBrokenError: another key, another place, or changed bytes.

    """
    _same_version(key, header)
    try:
        return parse_content(key.log_cipher.decrypt(ciphertext, _place(header)))
    except (InvalidTag, ValueError):
        # ValueError: cut too short to hold a tag. A cause could quote content, so it is cut off.
        raise SealBrokenError(
            f"Event {header.sequence} of journey {header.journey_id} does not open with key {key.key_id}: "
            "run the audit's verify on this journey, then compare it with its Temporal history."
        ) from None


def _place(header: Header) -> list[bytes]:
    """The associated data: three separate items, as RFC 5297 allows, so none can run into the next."""
    return [header.journey_id.bytes, header.sequence.to_bytes(8, "big"), header.type.encode()]


def _same_version(key: DataKey, header: Header) -> None:
    if key.version != header.key_version:
        raise SealBrokenError(
            f"Event {header.sequence} of journey {header.journey_id} is sealed under key version "
            f"{header.key_version}, not {key.version}: ask the key store for that version."
        )
