"""The auditor's commands as an auditor runs them: other processes, exit codes, one JSON object on stdout."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from audit.report import FINDING, OK, UNAVAILABLE, USAGE
from tests.audit.conftest import Clinic


async def alliance(*arguments: object) -> tuple[int, str, str]:
    """Run ``alliance audit …``: its exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "audit", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def asked(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """Run it with ``--json``: stdout is one object and nothing else."""
    code, out, err = await alliance(*arguments, "--json")
    return code, json.loads(out), err


@pytest.mark.parametrize("command", ["verify", "compare", "replay"])
async def test_a_sound_stack_passes(clinic: Clinic, command: str) -> None:
    """On a stack found by its directory each command is ok, counts what it checked, and says who looked."""
    code, answer, err = await asked(command, "--stack", clinic.state_dir)

    assert OK == code
    assert ["command", "counts", "findings", "ok", "seconds"] == sorted(answer)
    assert (f"audit {command}", True, []) == (answer["command"], answer["ok"], answer["findings"])
    assert 2 == answer["counts"]["journeys"]
    assert "record_accessed" in err


@pytest.mark.parametrize(
    ("change", "sequence"),
    [
        ("UPDATE events SET ciphertext = set_byte(ciphertext, 0, get_byte(ciphertext, 0) # 128)", 2),
        ("DELETE FROM events", 3),
    ],
)
async def test_a_tampered_log_fails_naming_the_place(
    clinic: Clinic, tampering: AsyncConnection, change: str, sequence: int
) -> None:
    """After a flipped byte or a deleted row, verify and compare leave with 1 and name journey and sequence."""
    where = f" WHERE journey_id = '{clinic.journey}' AND sequence = {sequence}"
    await tampering.execute((change + where).encode())
    for command in ("verify", "compare"):
        code, answer, _ = await asked(command, clinic.journey)
        places = {(found["journey_id"], found["sequence"]) for found in answer["findings"]}

        assert FINDING == code
        assert not answer["ok"]
        assert (str(clinic.journey), sequence) in places


async def test_timeline_and_as_of_show_a_journey(clinic: Clinic) -> None:
    """Both print for people, and the same as JSON under ``view``."""
    code, out, _ = await alliance("timeline", clinic.journey)
    assert OK == code
    assert "referral_submitted.v1" in out

    code, answer, _ = await asked("as-of", clinic.journey, "--sequence", 2)
    assert OK == code
    assert "referred" == answer["view"]["stage"]

    code, out, _ = await alliance("as-of", clinic.journey, "--time", "2100-01-01")
    assert OK == code
    assert "onboarding" in out


async def test_usage_is_not_a_finding(clinic: Clinic) -> None:
    """A question that makes no sense is exit code 2, and a stack that is not there is 3, in JSON too."""
    assert USAGE == (await alliance("as-of", clinic.journey))[0]
    assert USAGE == (await alliance("as-of", clinic.journey, "--time", "yesterday"))[0]
    assert USAGE == (await alliance("verify", clinic.journey, "--all"))[0]

    code, answer, _ = await asked("verify", "--stack", Path("nowhere"))
    assert (UNAVAILABLE, False) == (code, answer["ok"])
    assert ["SOURCE_UNAVAILABLE"] == [found["code"] for found in answer["findings"]]
