"""The demo as a newcomer runs it: one command, one exit code, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEMO_SECONDS = 280
pytestmark = pytest.mark.demo


def alliance(*arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    argv = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo leaves its data."""
    return tmp_path_factory.mktemp("kept") / "demo"


@pytest.fixture(scope="module")
def demo(kept: Path) -> tuple[int, dict[str, Any]]:
    """The demo's exit code and its closing line."""
    ended = alliance("demo", "--json", "--keep", str(kept), seconds=DEMO_SECONDS)
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, ended.stderr[-2000:]
    return ended.returncode, json.loads(lines[0])


def test_v1_holds(demo: tuple[int, dict[str, Any]]) -> None:
    """Worked case V1 runs from referral to completed course, and every fact of it holds."""
    code, line = demo

    assert [] == [fact["text"] for fact in line["facts"] if not fact["holds"]]
    assert len(line["facts"]) >= 18
    assert (0, True) == (code, line["ok"])


def test_the_auditor_is_satisfied(demo: tuple[int, dict[str, Any]]) -> None:
    """Chains, histories and strict replays agree on every event of the course, and there were some to agree on."""
    _, line = demo

    assert [] == line["findings"]
    assert line["counts"]["events"] == line["audits"]["verify"]["events"] > 400


def test_the_closing_line_says_how_long_each_stage_took(demo: tuple[int, dict[str, Any]]) -> None:
    """One JSON object with command, ok, counts, findings and seconds; and the stages."""
    _, line = demo

    assert {"command", "ok", "counts", "findings", "seconds"} <= line.keys()
    assert {"boot", "story", "audit"} == line["stages"].keys()


def test_no_process_is_left_behind(demo: tuple[int, dict[str, Any]], kept: Path) -> None:
    """When the demo has ended, nothing that it started runs any more."""
    del demo
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    assert [] == [line for line in running.splitlines() if str(kept) in line]


@pytest.mark.parametrize("command", ["verify", "compare", "replay"])
def test_a_kept_demo_can_be_audited_later(command: str, demo: tuple[int, dict[str, Any]], kept: Path) -> None:
    """The auditor's commands work on what `demo --keep` left, although its servers have stopped."""
    _, line = demo
    ended = alliance("audit", command, "--stack", str(kept), "--json")
    answer = json.loads(ended.stdout)

    assert (0, True, []) == (ended.returncode, answer["ok"], answer["findings"])
    assert line["audits"][command] == answer["counts"]
