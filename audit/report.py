"""What an audit says, to people and to programs: counts, findings that name a place, and an honest exit code.

What could not be checked is never "ok": it is a finding of its own kind, and turns the exit code to "unavailable".
No message holds a value of an event: who reads a finding need not be allowed to read the chart.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

OK: Final = 0
FINDING: Final = 1
USAGE: Final = 2
UNAVAILABLE: Final = 3

NOTHING_CHECKED: Final = "NOTHING_CHECKED"
KEY_UNKNOWN: Final = "KEY_UNKNOWN"
KEY_ERASED: Final = "KEY_ERASED"
SOURCE_UNAVAILABLE: Final = "SOURCE_UNAVAILABLE"
NOT_REPLAYABLE: Final = "NOT_REPLAYABLE"
UNCHECKED: Final = frozenset({NOTHING_CHECKED, KEY_UNKNOWN, KEY_ERASED, SOURCE_UNAVAILABLE, NOT_REPLAYABLE})
"""Codes that say that something was not checked, and so neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. ``sequence`` is the event's, or None when no single event is meant."""

    code: str
    journey_id: UUID | None
    sequence: int | None
    message: str

    def as_json(self) -> dict[str, Any]:
        journey_id = str(self.journey_id) if self.journey_id else None
        return {"code": self.code, "journey_id": journey_id, "sequence": self.sequence, "message": self.message}


@dataclass
class Report:
    """The answer of one audit command. ``notes`` say what an auditor should know and need not act upon."""

    command: str
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    view: Any = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def finish(self, checked: str) -> Report:
        """Close the report. When nothing was counted under ``checked``, it says so instead of "ok"."""
        if not self.counts[checked] and not self.findings:
            message = f"no {checked} were checked: name a journey, or check that this is the right environment"
            self.findings.append(Finding(NOTHING_CHECKED, None, None, message))
        self.seconds = round(time.monotonic() - self.started, 3)
        return self

    @property
    def exit_code(self) -> int:
        codes = {finding.code for finding in self.findings}
        if codes - UNCHECKED:
            return FINDING
        return UNAVAILABLE if codes else OK

    def as_json(self) -> dict[str, Any]:
        """The one object of ``--json``; ``view`` is there for commands that show something."""
        answer = {
            "command": self.command,
            "ok": self.exit_code == OK,
            "counts": dict(sorted(self.counts.items())),
            "findings": [finding.as_json() for finding in self.findings],
            "seconds": self.seconds,
        }
        return answer if self.view is None else {**answer, "view": self.view}
