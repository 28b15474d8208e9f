"""Every failure is one clear line and an exit code that a script can tell apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("ALLIANCE_", "TEMPORAL_"))}


def alliance(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these settings and no others."""
    argv = [sys.executable, "-m", "cli", *arguments]
    env = {**CLEAN, **settings}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=env)


@pytest.mark.parametrize("process", ["worker", "escalation-worker", "api"])
def test_a_process_without_settings_names_them(process: str) -> None:
    """A server that was told nothing says which variables to set, and exits 3."""
    ended = alliance(process)

    assert 3 == ended.returncode
    assert "ALLIANCE_KEYS_DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_not_there_is_one_clear_line() -> None:
    """A migration without its server exits 3 and says what to check."""
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    ended = alliance("db", "migrate", ALLIANCE_LOG_OWNER_DATABASE_URL=nowhere, ALLIANCE_KEYS_OWNER_DATABASE_URL=nowhere)

    assert 3 == ended.returncode
    assert "Traceback" not in ended.stderr
    assert ended.stderr.strip().splitlines()[-1].startswith("alliance: ")


def test_a_token_needs_a_stack(tmp_path: Path) -> None:
    """Where no stack was started, the command says how to start one, and exits 3."""
    ended = alliance("token", "therapist", "--state", str(tmp_path))

    assert 3 == ended.returncode
    assert "./run up" in ended.stderr


def test_an_unknown_role_is_wrong_usage() -> None:
    """Asking for a role that nobody has exits 2 and lists the roles."""
    ended = alliance("token", "wizard")

    assert 2 == ended.returncode
    assert "prescriber" in ended.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--case", "V99"], ["audit", "as-of"]])
def test_wrong_usage_exits_two(arguments: list[str]) -> None:
    """What cannot be understood is wrong usage, not a finding."""
    ended = alliance(*arguments)

    assert 2 == ended.returncode
    assert "--help" in ended.stderr or "Usage" in ended.stderr
