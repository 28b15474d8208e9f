"""requirements.lock: what is installed is what was tested, byte for byte, wherever it comes from."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from tests.tidy.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ENTRIES = re.split(r"\n(?=\S)", LOCK.strip())


def pinned() -> dict[str, set[str]]:
    """Give the pinned versions by name; there are several where Pythons or platforms differ."""
    pins: dict[str, set[str]] = {}
    for name, locked in re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK, re.MULTILINE):
        pins.setdefault(name, set()).add(locked)
    return pins


def test_every_line_is_a_pin_with_hashes() -> None:
    """Nothing floats, nothing comes without a hash, and no line says where to download from."""
    assert len(ENTRIES) == sum(map(len, pinned().values()))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in ENTRIES)
    assert not re.search(r"://|--index|--extra-index|--find-links", LOCK)


def test_every_requirement_is_met_by_its_pin() -> None:
    """What pyproject.toml asks for, extras included, is what the lock holds."""
    extras = PROJECT["optional-dependencies"].values()
    for line in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(line)
        assert all(map(requirement.specifier.contains, pinned()[requirement.name.lower()]))


def test_what_is_installed_is_what_is_locked() -> None:
    """The tests run with the pins, not with what somebody installed beside them."""
    for name, locked in pinned().items():
        try:
            assert version(name) in locked
        except PackageNotFoundError:
            assert ";" in next(entry for entry in ENTRIES if entry.startswith(f"{name}==")).split("\\")[0]
