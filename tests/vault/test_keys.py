"""Data keys and the KEK file."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from tests.vault.records import KEY
from vault.errors import KekFileError, KeyUnknownError, SealBrokenError
from vault.kek import KekFile, LocalFileKek, add_kek, read_keks
from vault.keys import DataKey, WrappedKey


def test_a_key_shows_no_secret() -> None:
    """Neither repr nor str of a key holds its bytes, in any spelling."""
    key = DataKey(uuid4(), 1, b"s" * 32)

    assert "sss" not in repr(key) + str(key)
    assert (b"s" * 32).hex() not in repr(key)
    assert "sss" not in repr(WrappedKey("kek", b"s" * 60))


def test_a_key_of_the_wrong_length_is_refused() -> None:
    """A data key is 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        DataKey(uuid4(), 1, bytes(31))


def test_fresh_keys_differ() -> None:
    """Two generated keys share no secret."""
    assert DataKey.generate(KEY.key_id, 1).secret != DataKey.generate(KEY.key_id, 1).secret


async def test_a_created_file_is_private_and_opens_again(tmp_path: Path) -> None:
    """The created file has mode 0600, and a second process unwraps what the first wrapped."""
    path = tmp_path / "keys" / "kek.json"
    wrapped = await LocalFileKek.open(path, create=True).wrap(KEY.key_id, KEY.secret)

    assert 0o600 == path.stat().st_mode & 0o777
    assert [path] == list(path.parent.iterdir())
    assert KEY.secret == await LocalFileKek.open(path, create=True).unwrap(KEY.key_id, wrapped)


async def test_a_wrapped_key_stands_for_itself_only(tmp_path: Path) -> None:
    """A wrapped key put in another key's row, or changed, does not unwrap."""
    keks = LocalFileKek.open(tmp_path / "kek.json", create=True)
    wrapped = await keks.wrap(KEY.key_id, KEY.secret)
    cut = WrappedKey(wrapped.kek_id, wrapped.wrapped[:5])

    with pytest.raises(SealBrokenError):
        await keks.unwrap(uuid4(), wrapped)
    with pytest.raises(SealBrokenError):
        await keks.unwrap(KEY.key_id, cut)


async def test_the_newest_kek_wraps_and_all_unwrap(tmp_path: Path) -> None:
    """After a KEK is added, it wraps; what the older one wrapped still opens."""
    path = tmp_path / "kek.json"
    old = await LocalFileKek.open(path, create=True).wrap(KEY.key_id, KEY.secret)
    added = add_kek(path)
    both = LocalFileKek.open(path)

    assert added == (await both.wrap(KEY.key_id, KEY.secret)).kek_id
    assert KEY.secret == await both.unwrap(KEY.key_id, old)
    assert 0o600 == path.stat().st_mode & 0o777


async def test_an_unknown_kek_is_named(tmp_path: Path) -> None:
    """A data key wrapped in another environment is refused with the KEK's id and what to do."""
    wrapped = await LocalFileKek.open(tmp_path / "a.json", create=True).wrap(KEY.key_id, KEY.secret)

    with pytest.raises(KeyUnknownError, match=f"{wrapped.kek_id}.*restore"):
        await LocalFileKek.open(tmp_path / "b.json", create=True).unwrap(KEY.key_id, wrapped)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """A KEK file that group or others may read or write is refused, and the message says what to run."""
    path = tmp_path / "kek.json"
    LocalFileKek.open(path, create=True)
    path.chmod(mode)

    with pytest.raises(KekFileError, match="chmod 600"):
        LocalFileKek.open(path)


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    """Without being asked to create one, a missing file is an error: a fresh KEK would open nothing."""
    with pytest.raises(KekFileError, match="restore it from the key backup"):
        LocalFileKek.open(tmp_path / "kek.json")
    assert [] == list(tmp_path.iterdir())


def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    """A file that does not parse, or holds a key of another length, is refused without repeating a byte of it."""
    path = tmp_path / "kek.json"
    for text in (
        '{"keks": [{"id": "a", "secret": "c2VjcmV0"}]}',
        '{"keks": []}',
        "c2VjcmV0",
        '{"keks": [{"c2Vj": 1}]}',
    ):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

        with pytest.raises(KekFileError, match="damaged") as error:
            LocalFileKek.open(path)
        assert "c2Vj" not in str(error.value)
        assert error.value.__cause__ is None


def test_two_creators_end_with_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process creates the file in between, its file stays and is used."""
    path = tmp_path / "kek.json"
    real_link = os.link

    def other_was_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", real_link)
        LocalFileKek.open(path, create=True)
        other_keks.append(read_keks(path))
        real_link(source, target)

    other_keks: list[KekFile] = []
    monkeypatch.setattr(os, "link", other_was_first)
    LocalFileKek.open(path, create=True)

    assert other_keks == [read_keks(path)]
    assert [path] == list(tmp_path.iterdir())
