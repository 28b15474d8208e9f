"""The hash chain."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from vault.chain import GENESIS_HASH, Break, link, verify


class Row(NamedTuple):
    header: bytes
    ciphertext: bytes
    hash: bytes


def chained(*parts: tuple[bytes, bytes]) -> list[Row]:
    """Rows whose hashes follow from each other."""
    rows: list[Row] = []
    previous = GENESIS_HASH
    for header, ciphertext in parts:
        previous = link(previous, header, ciphertext)
        rows.append(Row(header, ciphertext, previous))
    return rows


ROWS = chained((b"one", b"1"), (b"two", b"2"), (b"three", b"3"))


def test_the_link_is_what_the_format_says() -> None:
    """A link is SHA-256 over the tag, the previous hash and both parts with their 64-bit lengths."""
    said = b"alliance.chain.v1\x00" + bytes(32) + bytes(7) + b"\x02" + b"ab" + bytes(7) + b"\x01" + b"c"

    assert hashlib.sha256(said).digest() == link(GENESIS_HASH, b"ab", b"c")


def test_no_byte_can_move_between_header_and_ciphertext() -> None:
    """The same bytes cut elsewhere are another link."""
    assert link(GENESIS_HASH, b"ab", b"c") != link(GENESIS_HASH, b"a", b"bc")


def test_an_untouched_chain_holds() -> None:
    """Rows as they were written show no break, from the beginning or from any known hash."""
    assert verify(ROWS) is None
    assert verify(ROWS[1:], start=ROWS[0].hash) is None
    assert verify([]) is None


@given(row=st.integers(0, 2), column=st.sampled_from(Row._fields), data=st.data())
def test_any_changed_byte_is_found_where_it_is(row: int, column: str, data: st.DataObject) -> None:
    """Flip any bit of any stored column and the first break is that row."""
    stored = bytearray(getattr(ROWS[row], column))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = [*ROWS]
    changed[row] = ROWS[row]._replace(**{column: bytes(stored)})

    found = verify(changed)

    assert isinstance(found, Break)
    assert row == found.position


def test_a_removed_or_moved_row_is_found() -> None:
    """Rows cannot be taken out, swapped or repeated."""
    for altered in ([ROWS[0], ROWS[2]], [ROWS[1], ROWS[0], ROWS[2]], [ROWS[0], ROWS[0], ROWS[1]]):
        assert verify(altered) is not None


def test_every_record_has_another_hash() -> None:
    """Two equal records after each other still have two hashes."""
    rows = chained((b"same", b"same"), (b"same", b"same"))

    assert all(before.hash != after.hash for before, after in pairwise(rows))
