"""Forms for the tests: a filled-in form of any instrument, and hypothesis strategies for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from domain.instruments import INSTRUMENTS, Answers, Instrument, Score, score

NUMBERED = tuple(sorted(name for name, form in INSTRUMENTS.items() if not form.items.names))
"""Every instrument that is answered in item order."""


def numbers(*answers: bool | int | None, **rest: Any) -> Answers:
    """Answers in item order."""
    return Answers(items=answers, **rest)


def phq9(item9: int | None = 0, first: int | None = 0, **rest: Any) -> Score:
    """Score a PHQ-9 with zeros but for items 1 and 9."""
    return score("PHQ-9", numbers(first, 0, 0, 0, 0, 0, 0, 0, item9, **rest))


def screener(**answers: bool) -> Score:
    """Score a C-SSRS screener."""
    return score("C-SSRS screener", Answers(yes_no=answers))


def an_answer(form: Instrument) -> st.SearchStrategy[bool | int]:
    """Any answer that one item may have."""
    if form.items.kind == "yes_no":
        return st.booleans()
    return st.integers(form.items.minimum, form.items.maximum)


def a_form(form: Instrument) -> st.SearchStrategy[tuple[bool | int, ...]]:
    """Any complete set of answers in item order."""
    one = an_answer(form)
    return st.lists(one, min_size=form.items.count, max_size=form.items.count).map(tuple)
