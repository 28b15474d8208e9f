"""A filled-in form, and the check that it is one the instrument can have.

Strict on purpose: an unanswered or mistyped item must never become a 0, and no message repeats an answer.
"""

from __future__ import annotations

from typing import TypeAlias

from domain.instruments.rules import Sex
from domain.instruments.schema import Instrument, Items
from domain.values import Value

Responses: TypeAlias = tuple[int | None, ...]
"""One whole number per item, reversed items turned round; None where nothing was answered."""


class InvalidAnswersError(ValueError):
    """The answers are not those of the instrument's form. Names the item and what it may be, never the answer."""


class Answers(Value):
    """The answers to one form, as JSON carries them.

    ``items``: in item order, numbers or (for a yes/no instrument) booleans; null is "not answered".
    ``yes_no``: by name, for a screener whose later questions depend on earlier ones; not asked means absent.
    ``sex``: where a cut-off depends on it. ``version``: the wording used, when not the instrument's own.
    ``on_paper``: transcribed from paper, where a few missing answers may be filled in by the mean.
    """

    items: tuple[bool | int | None, ...] | None = None
    yes_no: dict[str, bool] | None = None
    sex: Sex | None = None
    version: str | None = None
    on_paper: bool = False


def read(form: Instrument, answers: Answers) -> Responses:
    """Give the answers as numbers. Raises InvalidAnswersError for a form that the instrument cannot have."""
    if form.items.names:
        return _read_named(form.id, form.items, answers)
    items = form.items
    if answers.items is None or answers.yes_no is not None:
        raise InvalidAnswersError(f"{form.id}: give `items`, {items.count} answers in item order")
    if len(answers.items) != items.count:
        raise InvalidAnswersError(f"{form.id}: give exactly {items.count} answers, one for each item")
    reverse = _reversed_items(form, answers.version)
    return tuple(
        _number(form.id, items, number, answer, turn=number in reverse)
        for number, answer in enumerate(answers.items, start=1)
    )


def version_of(form: Instrument, answers: Answers) -> str:
    """Name the version of the form that was answered."""
    return answers.version or form.version


def _reversed_items(form: Instrument, version: str | None) -> tuple[int, ...]:
    wordings = {form.version: form.items.reverse} | {other.version: other.reverse for other in form.rewordings}
    if version is not None and version not in wordings:
        raise InvalidAnswersError(f"{form.id}: `version` must be one of {', '.join(wordings)}")
    return wordings[version or form.version]


def _number(form_id: str, items: Items, number: int, answer: bool | int | None, *, turn: bool) -> int | None:
    if answer is None:
        return None
    if items.kind == "yes_no":
        if not isinstance(answer, bool):
            raise InvalidAnswersError(f"{form_id} item {number}: answer true (yes) or false (no)")
    elif isinstance(answer, bool) or not items.minimum <= answer <= items.maximum:
        raise InvalidAnswersError(
            f"{form_id} item {number}: give a whole number from {items.minimum} to {items.maximum}"
        )
    return items.minimum + items.maximum - answer if turn else int(answer)


def _read_named(form_id: str, items: Items, answers: Answers) -> Responses:
    given = answers.yes_no
    if given is None or answers.items is not None:
        raise InvalidAnswersError(f"{form_id}: give `yes_no`, true or false for each of {', '.join(items.names)}")
    if not given.keys() <= set(items.names):
        raise InvalidAnswersError(f"{form_id}: only {', '.join(items.names)} can be answered")
    for name in items.names:
        opener = items.ask_when.get(name)
        asked = opener is None or given.get(opener, False)
        if asked and name not in given:
            raise InvalidAnswersError(f"{form_id} {name}: answer true (yes) or false (no)")
        if not asked and name in given:
            raise InvalidAnswersError(f"{form_id} {name}: asked only after yes to {opener}; ask {opener} again")
    # A question that was not asked counts as no: the question that would have opened it was answered no.
    return tuple(int(given.get(name, False)) for name in items.names)
