"""Sealing what events say."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.envelope import Header
from tests.vault.records import KEY, content, header
from vault.errors import SealBrokenError
from vault.keys import DataKey
from vault.sealing import open_sealed, seal

OTHER_PLACES = [
    header(journey_id=uuid4()),
    header(sequence=2),
    header().model_copy(update={"type": "consent_recorded.v2"}),
]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_opens_as_it_was_sealed(text: str) -> None:
    """Text of any kind, also one that looks like a number or null, comes back as that text."""
    sealed = seal(KEY, header(), content({"note": text}))

    assert {"note": text} == open_sealed(KEY, header(), sealed).data


def test_sealing_twice_gives_the_same_bytes() -> None:
    """A retried append is the same bytes: that is how the log knows it."""
    twin = DataKey(KEY.key_id, KEY.version, KEY.secret)

    assert seal(KEY, header(), content()) == seal(twin, header(), content())


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["journey", "sequence", "type"])
def test_a_seal_holds_at_its_own_place_only(place: Header) -> None:
    """The same content is other bytes at another place, and does not open there."""
    sealed = seal(KEY, header(), content())

    assert sealed != seal(KEY, place, content())
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, place, sealed)


@given(st.data())
def test_a_changed_byte_does_not_open(data: st.DataObject) -> None:
    """Any flipped bit of a ciphertext is refused."""
    sealed = bytearray(seal(KEY, header(), content()))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(SealBrokenError):
        open_sealed(KEY, header(), bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_a_cut_ciphertext_does_not_open(length: int) -> None:
    """A ciphertext cut short is refused like any other change."""
    with pytest.raises(SealBrokenError):
        open_sealed(KEY, header(), seal(KEY, header(), content())[:length])


def test_another_key_does_not_open_and_the_message_is_silent() -> None:
    """The refusal names journey, sequence and key, and nothing of the content or of the secret."""
    other = DataKey(KEY.key_id, 1, bytes(32))
    sealed = seal(KEY, header(), content({"note": "private"}))

    with pytest.raises(SealBrokenError) as error:
        open_sealed(other, header(), sealed)

    assert str(header().journey_id) in str(error.value)
    assert "private" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_key_of_another_version_is_not_used() -> None:
    """A header that names key version 1 is neither sealed nor opened with version 2."""
    newer = DataKey(uuid4(), 2, KEY.secret)

    with pytest.raises(SealBrokenError, match="version 1, not 2"):
        seal(newer, header(), content())
    with pytest.raises(SealBrokenError, match="version 1, not 2"):
        open_sealed(newer, header(), seal(KEY, header(), content()))
