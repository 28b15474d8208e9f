"""Rules are data: a protocol file is whole, hashed and shipped, or the build does not start (D8)."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import domain
from domain import protocols
from domain.codes import Code
from domain.instruments import instrument
from domain.protocols import ProtocolInvalidError, ProtocolUnknownError, parse

NAME = "ketamine_sl.v1.toml"
CONTENT = (files(protocols) / NAME).read_bytes()
LEDGERS = {Code.LEDGER_DIVERGED, Code.LOG_STALLED, Code.KEY_REUSED, Code.UNKNOWN_PROTOCOL}
"""Codes of the workflow that runs the domain: ``domain.codes`` lists them, ``workflows`` raises them."""


def test_the_digest_is_that_of_the_file() -> None:
    """What a decision was made under can be found again: its version, and the SHA-256 of the file as shipped."""
    shipped = protocols.protocol("ketamine_sl.v1")

    assert sha256(CONTENT).hexdigest() == shipped.digest
    assert (shipped.version, shipped.digest) == (shipped.ref.version, shipped.ref.digest)
    assert shipped is protocols.newest("ketamine_sl")


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        (b"interval_days_min = 7 ", b"interval_days_min = 'weekly' ", "dosing.interval_days_min"),
        (b"interval_days_min = 7 ", b"", "dosing.interval_days_min"),
        (b"[safety]", b"[safety]\nsurprise = 1", "safety.surprise"),
        (b'tier_dosing_max = "low"', b'tier_dosing_max = "lowish"', "safety.tier_dosing_max"),
        (b'K-A1 = "A"', b'K-A1 = "Z"', "eligibility.criteria.K-A1"),
        (b"p1 = { systolic = 140, diastolic = 90 }", b"p1 = { systolic = 140 }", "dosing.pre.p1.diastolic"),
        (b"effective_to = 2026-12-31", b"effective_to = 'never'", "telemedicine_bases.0.effective_to"),
    ],
)
def test_a_bad_file_names_its_field(was: bytes, becomes: bytes, named: str) -> None:
    """A missing, unknown or mistyped rule is an error that names file and field."""
    assert was in CONTENT

    with pytest.raises(ProtocolInvalidError, match=named.replace(".", r"\.")) as error:
        parse("bad.toml", CONTENT.replace(was, becomes, 1))

    assert "bad.toml" in str(error.value)


@pytest.mark.parametrize("content", [b"id = ", b"\xff\xfe"])
def test_what_is_no_toml_is_no_protocol(content: bytes) -> None:
    """A damaged file is an error that names the file."""
    with pytest.raises(ProtocolInvalidError, match=r"bad\.toml is not TOML"):
        parse("bad.toml", content)


def test_a_version_that_this_build_lacks_is_an_error() -> None:
    """D7: a journey is never judged under other rules than its own; an unknown protocol opens none."""
    with pytest.raises(ProtocolUnknownError, match=r"it has ketamine_sl\.v1"):
        protocols.protocol("ketamine_sl.v0")

    assert protocols.newest("moonshine") is None


def test_a_protocol_asks_for_forms_that_exist() -> None:
    """Every questionnaire and outcome instrument of every protocol can be scored."""
    for protocol in protocols.CATALOGUE.values():
        for name in (*protocol.onboarding.questionnaires, *protocol.outcomes.instruments):
            assert name == instrument(name).id


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("dosing.interval_days_min", 7),
        ("dosing.vitals_max_age_minutes", 30),
        ("dosing.first_dose_mg_max", 200),
        ("dosing.dose_mg_max", 400),
        ("dosing.session_mg_max", 500),
        ("dosing.session_mg_per_kg_max", 7.0),
        ("dosing.release.minutes_min", 120),
        ("prescription.first_batch_sessions_max", 2),
        ("prescription.follow_batch_sessions_max", 6),
        ("prescription.pdmp_max_age_hours", 24),
        ("prescription.refills", 0),
        ("eligibility.valid_days", 180),
        ("clocks.hold_review_days", 7),
    ],
)
def test_the_shipped_numbers_are_those_of_the_specification(path: str, number: float) -> None:
    """domain.md §12: the numbers on which a dose depends, written down a second time on purpose."""
    value: Any = protocols.protocol("ketamine_sl.v1")
    for name in path.split("."):
        value = getattr(value, name)

    assert number == value


def test_every_code_has_a_use() -> None:
    """Each refusal code is given by the domain; those of the ledgers by the workflow."""
    root = Path(str(domain.__file__)).parent
    decided = "".join(p.read_text(encoding="utf-8") for p in root.rglob("*.py"))
    run = "".join(p.read_text(encoding="utf-8") for p in (root.parent / "workflows").rglob("*.py"))
    unused = [code for code in Code if f"Code.{code.name}" not in (run if code in LEDGERS else decided)]

    assert [] == unused
