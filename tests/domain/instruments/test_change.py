"""Response, remission and reliable change against a baseline."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.instruments import change, change_between, score
from tests.domain.instruments.forms import numbers, phq9, screener


def test_phq9_17_to_12_is_neither_reliable_nor_a_response() -> None:
    """Five points are the MCID and less than the measurement error of six."""
    found = change("PHQ-9", 17, 12)

    assert (-5, -29.4, None, False) == (found.points, found.percent, found.reliable, found.response)
    assert (False, ("mcid",)) == (found.clinically_significant, found.sizes)


def test_phq9_17_to_8_is_a_response_and_clinically_significant() -> None:
    """Reliable, more than half, and across the cut-off of 10; not yet remission."""
    found = change("PHQ-9", 17, 8)

    assert (-52.9, "improvement", True, True) == (
        found.percent,
        found.reliable,
        found.response,
        found.clinically_significant,
    )
    assert found.remission is False


def test_a_reliable_fall_below_the_cut_off_all_along_is_not_clinically_significant() -> None:
    """Who was never a case cannot cross the cut-off."""
    found = change("PHQ-9", 9, 2)

    assert ("improvement", False) == (found.reliable, found.clinically_significant)


def test_phq9_17_to_4_is_remission() -> None:
    """Remission is below 5."""
    assert change("PHQ-9", 17, 4).remission is True
    assert change("PHQ-9", 17, 5).remission is False


def test_phq9_20_to_17_is_too_little_to_be_on_track() -> None:
    """Three points and 15 percent: what the first follow-up calls not on track."""
    found = change("PHQ-9", 20, 17)

    assert (-3, -15.0, ()) == (found.points, found.percent, found.sizes)


def test_a_baseline_of_0_has_no_response() -> None:
    """Response is undefined from 0, which is not an error."""
    found = change("PHQ-9", 0, 0)

    assert (0, None, None) == (found.points, found.percent, found.response)


def test_gad7_13_to_9_is_reliable_and_still_a_case() -> None:
    """Four points are reliable; 9 is not below the caseness cut-off of 8, so not clinically significant."""
    found = change("GAD-7", 13, 9)

    assert (-4, "improvement", False, False) == (
        found.points,
        found.reliable,
        found.response,
        found.clinically_significant,
    )


def test_pcl5_40_to_28_is_important_and_not_reliable() -> None:
    """Twelve points reach the minimal important difference, not 15; so the end state of 28 is not enough."""
    found = change("PCL-5", 40, 28)

    assert (None, False) == (found.reliable, found.clinically_significant)
    assert "mid" in found.sizes


def test_pcl5_58_to_24_is_a_reliable_response() -> None:
    """Thirty-four points, 58.6 percent, end state at most 28."""
    found = change("PCL-5", 58, 24)

    assert (-34, -58.6, "improvement", True, True) == (
        found.points,
        found.percent,
        found.reliable,
        found.response,
        found.clinically_significant,
    )


def test_pcl5_remission_also_needs_the_diagnosis_gone() -> None:
    """A low total with the symptom pattern still there is no remission; without the answers it is not known."""
    assert change("PCL-5", 58, 24, flags={"provisional_dx": False}).remission is True
    assert change("PCL-5", 58, 24, flags={"provisional_dx": True}).remission is False
    assert change("PCL-5", 58, 24).remission is None
    assert change("PCL-5", 58, 29).remission is False


@pytest.mark.parametrize(("baseline", "current", "drop"), [(52, 46, -6), (36, 35, -1)])
def test_small_drops_of_the_alliance_are_not_reliable(baseline: int, current: int, drop: int) -> None:
    """Less than eight points of the WAI-SR are within its measurement error; §5.6 still looks at them."""
    found = change("WAI-SR", baseline, current)

    assert (drop, None) == (found.points, found.reliable)


def test_a_falling_alliance_is_a_deterioration() -> None:
    """Higher is better for the WAI-SR, so eight points less is worse and eight more is better."""
    assert "deterioration" == change("WAI-SR", 52, 44).reliable
    assert "improvement" == change("WAI-SR", 44, 52).reliable


def test_madrs_32_to_16_is_a_response_and_no_remission() -> None:
    """Exactly half is a response; remission is at most 10."""
    found = change("MADRS", 32, 16)

    assert (True, False) == (found.response, found.remission)
    assert found.reliable is None


def test_a_rise_of_6_on_the_phq9_is_a_deterioration() -> None:
    """A reliable rise is named as one and is never clinically significant improvement."""
    found = change("PHQ-9", 8, 14)

    assert ("deterioration", False, False) == (found.reliable, found.clinically_significant, found.response)


def test_scores_of_one_instrument_are_compared_with_their_flags() -> None:
    """Comparing two scores knows the current flags, so PCL-5 remission is known."""
    ill, well = score("PCL-5", numbers(*[3] * 20)), score("PCL-5", numbers(*[0] * 20))

    assert change_between(ill, well).remission is True
    with pytest.raises(ValueError, match="different instruments"):
        change_between(ill, phq9())
    with pytest.raises(ValueError, match="compare its tiers"):
        change_between(screener(q1=False, q2=False, q6=False), screener(q1=True, q2=False, q6=False))


@given(baseline=st.integers(0, 27), current=st.integers(0, 27))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_improvement_one_way_is_deterioration_the_other(baseline: int, current: int) -> None:
    """Swapping baseline and current swaps the direction of a reliable change and nothing else about it."""
    mirror = {"improvement": "deterioration", "deterioration": "improvement", None: None}
    there, back = change("PHQ-9", baseline, current), change("PHQ-9", current, baseline)

    assert mirror[there.reliable] == back.reliable
    assert there.points == -back.points
