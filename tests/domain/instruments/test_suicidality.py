"""The C-SSRS screener and what any score says about suicide risk."""

from __future__ import annotations

from itertools import product

import pytest

from domain.instruments import (
    Answers,
    InvalidAnswersError,
    Tier,
    needs_page,
    score,
    suicidality_asked,
    suicidality_flag,
    tier_answer_code,
)
from tests.domain.instruments.forms import numbers, phq9, screener


def expected_tier(answers: dict[str, bool]) -> str:
    """Say the triage table of the specification a second time."""
    if answers.get("q4") or answers.get("q5") or answers.get("q6_recent"):
        return "high"
    if answers.get("q3") or answers["q6"]:
        return "moderate"
    return "low" if answers["q1"] or answers["q2"] else "none"


def test_every_possible_screener_gets_the_tier_of_the_table() -> None:
    """All ways through the branching agree with the triage points."""
    seen = set()
    for q1, q2, q6, first, second, third in product((False, True), repeat=6):
        answers = {"q1": q1, "q2": q2, "q6": q6}
        if q2:
            answers |= {"q3": first, "q4": second, "q5": third}
        for recent in (False, True) if q6 else (False,):
            given = answers | ({"q6_recent": recent} if q6 else {})
            seen.add(expected_tier(given))

            assert expected_tier(given) == screener(**given).tier

    assert {"none", "low", "moderate", "high"} == seen


@pytest.mark.parametrize("left_out", ["q3", "q4", "q5", "q6", "q6_recent"])
def test_a_question_that_must_be_asked_cannot_be_left_out(left_out: str) -> None:
    """After yes to 2 come 3, 4 and 5; 6 comes always; after yes to 6, whether it was recent."""
    answers = dict.fromkeys(["q1", "q2", "q3", "q4", "q5", "q6", "q6_recent"], True)
    del answers[left_out]
    answers = {name: answer for name, answer in answers.items() if left_out != "q6" or name != "q6_recent"}

    with pytest.raises(InvalidAnswersError, match=rf"{left_out}: answer true \(yes\) or false \(no\)"):
        screener(**answers)


@pytest.mark.parametrize(("extra", "opener"), [("q3", "q2"), ("q4", "q2"), ("q5", "q2"), ("q6_recent", "q6")])
def test_a_contradictory_screener_is_asked_again(extra: str, opener: str) -> None:
    """An answer to a question that was not to be asked is never dropped: the opener is asked again."""
    with pytest.raises(InvalidAnswersError, match=f"{extra}: asked only after yes to {opener}"):
        screener(**{"q1": False, "q2": False, "q6": False, extra: True})


@pytest.mark.parametrize("body", [Answers(items=(True, True, False)), Answers(), Answers(yes_no={"q7": True})])
def test_a_screener_is_answered_by_name(body: Answers) -> None:
    """Answers by position or to unknown questions are refused."""
    with pytest.raises(InvalidAnswersError, match="q1, q2, q3, q4, q5, q6, q6_recent"):
        score("C-SSRS screener", body)


def test_tiers_are_compared_by_risk_and_not_by_letter() -> None:
    """As text "high" comes before "low"; as tiers it does not."""
    shuffled = (Tier.HIGH, Tier.IMMINENT, Tier.LOW, Tier.MODERATE, Tier.NONE)

    assert [Tier.NONE, Tier.LOW, Tier.MODERATE, Tier.HIGH, Tier.IMMINENT] == sorted(shuffled)
    assert max(Tier) is Tier.IMMINENT
    assert Tier.HIGH >= Tier.HIGH > Tier.LOW
    assert Tier.LOW <= Tier.LOW < Tier.HIGH


@pytest.mark.parametrize(
    ("item9", "flagged", "paged"), [(0, False, False), (1, True, False), (2, True, False), (3, True, True)]
)
def test_item_9_flags_from_1_and_pages_at_3(item9: int, flagged: bool, paged: bool) -> None:
    """PHQ-9 item 9 of 1 opens the C-SSRS; 3 counts as high until it is done."""
    found = phq9(item9=item9)

    assert (flagged, paged) == (suicidality_flag(found), needs_page(found))


def test_madrs_flags_suicidal_thoughts_from_2() -> None:
    """MADRS item 10 of 1 is "weary of life", not yet a flag."""
    assert not suicidality_flag(score("MADRS", numbers(*[6] * 9, 1)))
    assert suicidality_flag(score("MADRS", numbers(*[0] * 9, 2)))


def test_any_tier_above_none_is_a_flag_and_high_pages() -> None:
    """The screener flags from low and wakes somebody from high."""
    none, low = screener(q1=False, q2=False, q6=False), screener(q1=True, q2=False, q6=False)
    high = screener(q1=False, q2=False, q6=True, q6_recent=True)

    assert [False, True, True] == [suicidality_flag(one) for one in (none, low, high)]
    assert [False, False, True] == [needs_page(one) for one in (none, low, high)]


def test_an_unanswered_item_9_is_no_all_clear() -> None:
    """Whoever relies on "no flag" can see that nobody answered."""
    assert suicidality_asked(phq9(item9=0))
    assert suicidality_asked(screener(q1=False, q2=False, q6=False))
    assert not suicidality_asked(phq9(item9=None, on_paper=True))
    assert not suicidality_asked(score("GAD-7", numbers(*[3] * 7)))


def test_loinc_answers_of_the_tiers() -> None:
    """None has no LOINC answer, and imminent is reported as high."""
    assert [None, "LA9194-7", "LA6751-7", "LA9193-9", "LA9193-9"] == [tier_answer_code(tier) for tier in Tier]
