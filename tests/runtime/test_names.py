"""Names that stand in clear in Temporal: opaque, derivable, and few enough for its visibility store."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from runtime import names

JOURNEY = UUID("0193e6a0-0000-7000-8000-000000000001")
CAUSE = UUID("0193e6a0-0000-7000-8000-000000000002")


def test_workflow_ids_are_opaque_and_found_again() -> None:
    """A journey's workflow id leads back to the journey, and no other id does."""
    assert f"journey/{JOURNEY}" == names.journey_workflow_id(JOURNEY)
    assert names.journey_id_of(names.journey_workflow_id(JOURNEY)) == JOURNEY
    assert names.journey_id_of(names.escalation_workflow_id(JOURNEY, CAUSE)) is None
    assert names.journey_id_of("journey/zaphod") is None


def test_one_cause_is_one_escalation() -> None:
    """API and journey derive the same escalation id from the same cause."""
    assert f"escalation/{JOURNEY}/{CAUSE}" == names.escalation_workflow_id(JOURNEY, CAUSE)


def test_search_attributes_fit_an_sql_visibility_store() -> None:
    """At most ten keywords and three of any other kind, which is all a namespace has."""
    counts = Counter(names.SEARCH_ATTRIBUTE_KINDS.values())

    assert counts.pop("Keyword") <= 10
    assert max(counts.values()) <= 3
    assert "Datetime" == names.SEARCH_ATTRIBUTE_KINDS["CareDueAt"]
