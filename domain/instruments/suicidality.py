"""What a score says about suicide risk, whatever the instrument (domain.md §5.1).

Data files name the two findings alike: ``si_flag`` opens the C-SSRS, ``si_page`` wakes somebody before it is done.
"""

from __future__ import annotations

from domain.instruments.catalogue import INSTRUMENTS
from domain.instruments.scoring import Score
from domain.instruments.tier import Tier

SI_FLAG = "si_flag"
SI_PAGE = "si_page"


def suicidality_asked(score: Score) -> bool:
    """Whether this form asked, and was answered. An unanswered item 9 is *not done*, never a no."""
    return score.tier is not None or score.flags.get(SI_FLAG) is not None


def suicidality_flag(score: Score) -> bool:
    """Whether this form raises suicidality: a flagged item, or any C-SSRS tier above none.

    False is no all-clear by itself: see ``suicidality_asked``.
    """
    return score.flags.get(SI_FLAG) is True or (score.tier is not None and score.tier > Tier.NONE)


def needs_page(score: Score) -> bool:
    """Whether somebody must be woken now: tier high or above, or item 9 = 3 until assessed (§5.1, step 2)."""
    return score.flags.get(SI_PAGE) is True or (score.tier is not None and score.tier >= Tier.HIGH)


def tier_answer_code(tier: Tier) -> str | None:
    """Give the LOINC answer for 93374-7. Imminent is sent as high.

    Tier none has no answer: it is omitted from the Observation, never forced to low.
    """
    reported = Tier.HIGH if tier is Tier.IMMINENT else tier
    cases = (case for form in INSTRUMENTS.values() if form.tier for case in form.tier.cases)
    return next((case.loinc for case in cases if case.value == reported), None)
