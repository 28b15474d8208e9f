"""The names that processes must agree on: task queues, types, ids, search attributes.

Apart from the rest of ``runtime`` because workflows import it: it does no I/O and loads nothing heavy.
Every name here stands in clear in Temporal, so none is built from anything but opaque ids (I6).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from domain.envelope import JourneySummary

# Appends and effects have their own queues, so that a slow pharmacy never delays the record; escalations have their
# own so that nothing at all delays a page (D12).
JOURNEYS: Final = "journeys"
EFFECTS: Final = "effects"
ESCALATIONS: Final = "escalations"

JOURNEY_WORKFLOW: Final = "Journey"
ESCALATION_WORKFLOW: Final = "Escalation"

APPEND_EVENTS: Final = "append_events"
FIND_RECEIPT: Final = "find_receipt"
WRITE_EHR_RECORDS: Final = "write_ehr_records"
TRANSMIT_PRESCRIPTION: Final = "transmit_prescription"
QUERY_PDMP: Final = "query_pdmp"
SEND_MESSAGE: Final = "send_message"
PAGE_ON_CALL: Final = "page_on_call"

_JOURNEY_PREFIX: Final = "journey/"


def journey_workflow_id(journey_id: UUID) -> str:
    """``journey/<uuid>``."""
    return f"{_JOURNEY_PREFIX}{journey_id}"


def journey_id_of(workflow_id: str) -> UUID | None:
    """The journey behind a journey workflow's id; None for any other workflow."""
    if not workflow_id.startswith(_JOURNEY_PREFIX):
        return None
    try:
        return UUID(workflow_id.removeprefix(_JOURNEY_PREFIX))
    except ValueError:
        return None


def escalation_workflow_id(journey_id: UUID, cause_id: UUID) -> str:
    """``escalation/<journey>/<cause>``; the cause is the id of the command or event that raised the hold.

    Both the journey and the API can derive it, so whichever pages first, there is one escalation (D12).
    """
    return f"escalation/{journey_id}/{cause_id}"


CARE_STAGE: Final = SearchAttributeKey.for_keyword("CareStage")
CARE_PROTOCOL: Final = SearchAttributeKey.for_keyword("CareProtocol")
CARE_POLICY_VERSION: Final = SearchAttributeKey.for_keyword("CarePolicyVersion")
CARE_HOLD: Final = SearchAttributeKey.for_keyword("CareHold")
CARE_NEXT_ACTION_BY: Final = SearchAttributeKey.for_keyword("CareNextActionBy")
CARE_SLA_STATE: Final = SearchAttributeKey.for_keyword("CareSlaState")
CARE_SAFETY_OPEN: Final = SearchAttributeKey.for_bool("CareSafetyOpen")
CARE_DUE_AT: Final = SearchAttributeKey.for_datetime("CareDueAt")
CARE_NEXT_SESSION_AT: Final = SearchAttributeKey.for_datetime("CareNextSessionAt")
JOURNEY_VERSION: Final = SearchAttributeKey.for_int("JourneyVersion")

SEARCH_ATTRIBUTES: Final[tuple[SearchAttributeKey[Any], ...]] = (
    CARE_STAGE,
    CARE_PROTOCOL,
    CARE_POLICY_VERSION,
    CARE_HOLD,
    CARE_NEXT_ACTION_BY,
    CARE_SLA_STATE,
    CARE_SAFETY_OPEN,
    CARE_DUE_AT,
    CARE_NEXT_SESSION_AT,
    JOURNEY_VERSION,
)
"""What a namespace must know before the first journey starts (D15)."""

SEARCH_ATTRIBUTE_KINDS: Final = {key.name: key.indexed_value_type.name.capitalize() for key in SEARCH_ATTRIBUTES}
"""The same, as the CLI and the development server want it: name to ``Keyword``, ``Bool``, ``Datetime`` or ``Int``."""


def _pairs(summary: JourneySummary) -> list[tuple[SearchAttributeKey[Any], str | bool | int | datetime | None]]:
    return [
        (CARE_STAGE, summary.stage),
        (CARE_PROTOCOL, summary.protocol),
        (CARE_POLICY_VERSION, summary.policy_version),
        (CARE_HOLD, summary.hold),
        (CARE_NEXT_ACTION_BY, summary.next_action_by.value if summary.next_action_by else None),
        (CARE_SLA_STATE, summary.sla_state),
        (CARE_SAFETY_OPEN, summary.safety_open),
        (CARE_DUE_AT, summary.due_at),
        (CARE_NEXT_SESSION_AT, summary.next_session_at),
        (JOURNEY_VERSION, summary.version),
    ]


def search_attributes(summary: JourneySummary) -> list[SearchAttributeUpdate[Any]]:
    """What a running journey upserts: what no longer holds is unset, never left behind."""
    return [key.value_unset() if value is None else key.value_set(value) for key, value in _pairs(summary)]


def first_search_attributes(summary: JourneySummary) -> TypedSearchAttributes:
    """The same, for the call that starts or restarts a journey."""
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in _pairs(summary) if value is not None]
    )
