"""What ops see of a running journey in the Temporal UI (D15)."""

from __future__ import annotations

from typing import Any

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import SearchAttributeKey

from domain.envelope import Role
from domain.journey.referral import AcknowledgeReferral
from domain.journey.safety import ReportSafetyConcern
from runtime.names import (
    CARE_DUE_AT,
    CARE_HOLD,
    CARE_NEXT_ACTION_BY,
    CARE_POLICY_VERSION,
    CARE_PROTOCOL,
    CARE_SAFETY_OPEN,
    CARE_SLA_STATE,
    CARE_STAGE,
    JOURNEY_VERSION,
)
from tests.domain.stages import PATIENT
from tests.workflows.asking import eventually
from tests.workflows.clinic import Clinic
from tests.workflows.live import Live


async def test_search_attributes_are_the_summary(clinic: Clinic) -> None:
    """They say what the last append's summary says, and what no longer holds is unset."""
    live = await clinic.opened()
    await live.settled()
    await live.send(AcknowledgeReferral())

    await eventually(lambda: shows_the_summary(live))


async def test_a_safety_case_is_seen_at_once(clinic: Clinic) -> None:
    """A hold and an open case stand in search attributes and on top of the page."""
    live = await clinic.opened()
    await live.send(ReportSafetyConcern(concern="He said goodbye"), Role.COORDINATOR)

    shown = (await live.handle.describe()).typed_search_attributes
    assert "safety" == shown.get(CARE_HOLD)
    assert shown.get(CARE_SAFETY_OPEN) is True
    assert "SAFETY CASE OPEN" in await details(live)


async def test_the_details_name_the_next_action_and_nobody(clinic: Clinic) -> None:
    """A page that says where the journey is and who owes what, without the patient's name or problem."""
    live = await clinic.opened()
    await live.settled()

    page = await details(live)

    assert "## Referred" in page
    assert "Acknowledge referral" in page
    for secret in (PATIENT.name.given, PATIENT.name.family, PATIENT.email, "F33"):
        assert secret not in page


async def details(live: Live) -> str:
    """The current details, as the UI asks for them."""
    metadata: WorkflowMetadata = await live.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


async def shows_the_summary(live: Live) -> bool:
    """Whether the attributes say what the log was told last."""
    summary = live.clinic.log.asked[live.id][-1].summary
    shown = (await live.handle.describe()).typed_search_attributes
    expected: dict[SearchAttributeKey[Any], object] = {
        CARE_STAGE: summary.stage,
        CARE_PROTOCOL: summary.protocol,
        CARE_POLICY_VERSION: summary.policy_version,
        CARE_HOLD: summary.hold,
        CARE_NEXT_ACTION_BY: summary.next_action_by,
        CARE_SLA_STATE: summary.sla_state,
        CARE_SAFETY_OPEN: summary.safety_open,
        CARE_DUE_AT: summary.due_at,
        JOURNEY_VERSION: summary.version,
    }
    return expected == {key: shown.get(key) for key in expected}
