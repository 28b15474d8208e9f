"""Where a journey can be."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where a journey is (domain.md §1.5)."""

    REFERRED = "referred"
    ONBOARDING = "onboarding"
    INTAKE = "intake"
    UNDER_REVIEW = "under_review"
    INELIGIBLE = "ineligible"
    PREPARING = "preparing"
    DOSING_COURSE = "dosing_course"
    COURSE_COMPLETE = "course_complete"
    CLOSED = "closed"
