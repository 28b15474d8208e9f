"""What somebody in danger reads, whatever else the answer says.

It stands in every answer to a submission that may tell of danger, refusals and outages included; the patient's pages
show the same panel without asking any server (architecture D12).
"""

from __future__ import annotations

import re
from typing import Final

from domain.journey.assessment import SubmitGateForm, SubmitQuestionnaire
from domain.journey.safety import ReportSafetyConcern
from domain.values import Value


class Crisis(Value):
    """Where help is to be had at once, in the United States."""

    message: str = "If you or somebody else may be in danger, do not wait for us."
    call: str = "988"
    text: str = "988"
    emergency: str = "911"


CRISIS: Final = Crisis()
SAFETY_COMMANDS: Final = frozenset(c.name for c in (ReportSafetyConcern, SubmitQuestionnaire, SubmitGateForm))
"""The commands that ``domain.journey.safety.urgent_tier`` looks into."""

_COMMAND_PATH = re.compile(r"/commands/([a-z0-9_]+)/?$")


def crisis_for(path: str) -> Crisis | None:
    """Give the panel for requests to a path of a safety command."""
    found = _COMMAND_PATH.search(path)
    return CRISIS if found and found.group(1) in SAFETY_COMMANDS else None
