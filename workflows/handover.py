"""When a run ends and the next one takes over, and how (architecture D7, I5)."""

from __future__ import annotations

from typing import NoReturn

from temporalio import workflow

from workflows.contracts import JourneyStart

HISTORY_EVENTS_MAX = 800
"""A run is left well before a thousand events: a cold replay costs about a second per two thousand (D7)."""


def is_old() -> bool:
    """Whether this run has grown long, or a newer build waits for it."""
    info = workflow.info()
    return (
        info.is_continue_as_new_suggested()
        or info.get_current_history_length() > HISTORY_EVENTS_MAX
        or info.is_target_worker_deployment_version_changed()
    )


def hand_over(successor: JourneyStart) -> NoReturn:
    """Continue as new: on the newer build, if there is one."""
    if workflow.info().is_target_worker_deployment_version_changed():
        behaviour = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        workflow.continue_as_new(successor, initial_versioning_behavior=behaviour)
    workflow.continue_as_new(successor)
