"""The scorer: bands and cut-offs at their edges, missing answers, and laws that hold for any form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.instruments import (
    INSTRUMENTS,
    Answers,
    InvalidAnswersError,
    Score,
    UnknownInstrumentError,
    instrument,
    score,
)
from domain.instruments.catalogue import parse
from tests.domain.instruments.forms import NUMBERED, a_form, numbers, phq9

BOUNDED = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("total", "band"),
    [
        *[(0, "minimal"), (4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate")],
        *[(15, "moderately-severe"), (19, "moderately-severe"), (20, "severe"), (27, "severe")],
    ],
)
def test_phq9_bands_start_and_end_where_published(total: int, band: str) -> None:
    """Each edge of the five PHQ-9 bands falls into the right one."""
    answers = tuple(3 if 3 * item + 3 <= total else max(0, total - 3 * item) for item in range(9))

    assert (total, band) == ((found := score("PHQ-9", numbers(*answers))).total, found.band)


def test_audit_c_is_positive_a_point_earlier_for_women() -> None:
    """Three points are a positive screen for a woman and not for a man."""
    assert score("AUDIT-C", numbers(1, 1, 1, sex="female")).flags["positive"] is True
    assert score("AUDIT-C", numbers(1, 1, 1, sex="male")).flags["positive"] is False


def test_audit_c_says_when_only_frequency_made_it_positive() -> None:
    """All points from item 1 asks for a review of use before acting on the flag."""
    assert score("AUDIT-C", numbers(4, 0, 0, sex="male")).flags["positive_q1_only"] is True
    assert score("AUDIT-C", numbers(3, 1, 0, sex="male")).flags["positive_q1_only"] is False


def test_audit_c_without_sex_is_refused() -> None:
    """A cut-off is never guessed."""
    with pytest.raises(InvalidAnswersError, match="give `sex`, female or male"):
        score("AUDIT-C", numbers(4, 4, 4))


def test_dast10_item_3_scores_by_its_wording() -> None:
    """Yes to item 3 is no point as "always able to stop" and one point as "unable to stop"; the version is kept."""
    answers = (False, False, True, *[False] * 7)
    able = score("DAST-10", numbers(*answers))
    unable = score("DAST-10", numbers(*answers, version="unable-to-stop"))

    assert (0, "always-able-to-stop") == (able.total, able.version)
    assert (1, "unable-to-stop") == (unable.total, unable.version)


def test_an_unknown_wording_is_refused() -> None:
    """A wording nobody described cannot be scored."""
    with pytest.raises(InvalidAnswersError, match="`version` must be one of always-able-to-stop, unable-to-stop"):
        score("DAST-10", numbers(*[False] * 10, version="other"))


@pytest.mark.parametrize(("yes", "band"), [(2, "low"), (3, "intermediate"), (4, "intermediate"), (5, "high")])
def test_stop_bang_bands(yes: int, band: str) -> None:
    """STOP-BANG is low to 2, intermediate to 4 and high from 5."""
    assert band == score("STOP-BANG", numbers(*[item < yes for item in range(8)])).band


def test_a_missing_answer_is_refused_and_named() -> None:
    """An incomplete electronic form is not scored; the message says which item, never the answers."""
    with pytest.raises(InvalidAnswersError, match="PHQ-9 item 9: not answered"):
        phq9(item9=None, first=2)


def test_a_paper_form_is_prorated_within_its_limit() -> None:
    """With two of nine PHQ-9 answers missing on paper, the mean of the rest stands in; three are refused."""
    found = score("PHQ-9", numbers(2, 2, 2, 2, 2, 2, 2, None, 0, on_paper=True))

    assert (15.8, "moderately-severe", True) == (found.total, found.band, found.prorated)
    with pytest.raises(InvalidAnswersError, match="may be missing: 2"):
        score("PHQ-9", numbers(1, 1, 1, 1, 1, 1, None, None, None, on_paper=True))


def test_an_unanswered_item_9_is_not_done_and_never_0() -> None:
    """A prorated total never answers the suicidality question, nor the algorithm."""
    found = score("PHQ-9", numbers(2, 2, 2, 2, 0, 0, 0, 0, None, on_paper=True))

    assert (None, None) == (found.flags["si_flag"], found.flags["si_page"])
    assert (None, None) == (found.derived["item9"], found.derived["algorithm"])


def test_wai_sr_fills_one_gap_per_subscale_by_that_subscale_alone() -> None:
    """A missing bond item is the mean of the other bond items; a second gap in one subscale is refused."""
    found = score("WAI-SR", numbers(1, 1, 5, 1, None, 1, 5, 1, 5, 1, 1, 1))

    assert ({"task": 4, "bond": 20, "goal": 4}, True) == (found.subscales, found.prorated)
    with pytest.raises(InvalidAnswersError, match="WAI-SR item 3"):
        score("WAI-SR", numbers(1, 1, None, 1, None, 1, 5, 1, 5, 1, 1, 1))


def test_false_is_not_0_and_0_is_not_false() -> None:
    """A boolean is no answer to a numeric item, and a number no answer to a yes/no item."""
    with pytest.raises(InvalidAnswersError, match="PHQ-9 item 1: give a whole number from 0 to 3"):
        score("PHQ-9", Answers.model_validate_json('{"items": [false, 0, 0, 0, 0, 0, 0, 0, 0]}'))
    with pytest.raises(InvalidAnswersError, match=r"DAST-10 item 2: answer true \(yes\) or false \(no\)"):
        score("DAST-10", Answers.model_validate_json(f'{{"items": [false, 0{", false" * 8}]}}'))


@pytest.mark.parametrize("body", ['{"items": ["1"]}', '{"items": [1.0]}', '{"items": [1.5]}', '{"item": [1]}'])
def test_answers_are_whole_numbers_and_booleans_only(body: str) -> None:
    """Text, fractions and unknown fields are refused before anything is scored."""
    with pytest.raises(ValidationError):
        Answers.model_validate_json(body)


def test_an_unknown_instrument_is_refused() -> None:
    """There is no default instrument."""
    with pytest.raises(UnknownInstrumentError, match="use one of"):
        score("PHQ-10", numbers(0))


@pytest.mark.parametrize("body", [Answers(), Answers(yes_no={"item1": True}), Answers(items=(0,), yes_no={})])
def test_a_numbered_form_takes_answers_in_item_order_only(body: Answers) -> None:
    """Answers by name do not fit a form of numbered items."""
    with pytest.raises(InvalidAnswersError, match="give `items`"):
        score("PHQ-9", body)


def test_a_data_file_with_a_loose_end_is_refused() -> None:
    """A rule that looks at something nobody measures would silently be unknown, so the build does not start."""
    text = """
    id = "X"
    version = "1"
    title = "X"
    rater = "patient"
    print_policy = "N"
    sources = ["none"]
    total = { of = "sum" }
    items = { count = 2, maximum = 3 }
    flags = [{ name = "positive", all_of = [{ metric = "METRIC", at_least = 1 }] }]
    """

    assert "X" == parse(text.replace("METRIC", "item2")).id
    with pytest.raises(ValidationError, match="a metric that does not exist"):
        parse(text.replace("METRIC", "item3"))


def test_suicide_items_are_flagged_where_the_specification_says() -> None:
    """Exactly these instruments ask about suicide, and open the C-SSRS."""
    asking = {name for name, form in INSTRUMENTS.items() if "si_flag" in {flag.name for flag in form.flags}}

    assert {"PHQ-9", "BDI-II", "QIDS-SR16", "MADRS"} == asking


@pytest.mark.parametrize("name", NUMBERED)
@given(data=st.data())
@BOUNDED
def test_a_total_stays_in_its_range_and_a_score_survives_json(name: str, data: st.DataObject) -> None:
    """Any complete form scores within the published range, to something that reads back the same."""
    form = instrument(name)
    found = score(name, Answers(items=data.draw(a_form(form)), sex="male"))

    assert form.total_range is not None
    assert found.total is not None
    assert form.total_range[0] <= found.total <= form.total_range[1]
    assert found == Score.model_validate_json(found.model_dump_json())


@pytest.mark.parametrize("name", NUMBERED)
@given(data=st.data())
@BOUNDED
def test_a_higher_answer_never_lowers_the_total_unless_the_item_is_reversed(name: str, data: st.DataObject) -> None:
    """Raising one answer moves the total in that item's direction only."""
    form = instrument(name)
    low, high = data.draw(a_form(form)), data.draw(a_form(form))
    number = data.draw(st.integers(1, form.items.count))
    one, other = sorted((low[number - 1], high[number - 1]))
    totals = [
        score(name, Answers(items=(*low[: number - 1], answer, *low[number:]), sex="male")).total or 0
        for answer in (one, other)
    ]

    assert totals == sorted(totals, reverse=number in form.items.reverse)


@pytest.mark.parametrize("name", NUMBERED)
@given(data=st.data())
@BOUNDED
def test_a_form_with_one_wrong_answer_or_count_is_refused(name: str, data: st.DataObject) -> None:
    """Out of range, of the wrong type, one too few or one too many: none of them is scored."""
    form = instrument(name)
    answers = data.draw(a_form(form))
    number = data.draw(st.integers(1, form.items.count))
    wrong_type: bool | int = 0 if form.items.kind == "yes_no" else data.draw(st.booleans())
    wrong = data.draw(st.sampled_from([wrong_type, form.items.minimum - 1, form.items.maximum + 1]))

    with pytest.raises(InvalidAnswersError, match=f"{name} item {number}: "):
        score(name, Answers(items=(*answers[: number - 1], wrong, *answers[number:]), sex="male"))
    for miscounted in (answers[:-1], (*answers, answers[0])):
        with pytest.raises(InvalidAnswersError, match=f"give exactly {form.items.count} answers"):
            score(name, Answers(items=miscounted, sex="male"))
