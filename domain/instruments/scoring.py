"""The one scorer. It knows sums, cut-offs and missing answers, and no instrument by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from pydantic import Field

from domain.instruments.answers import Answers, InvalidAnswersError, Responses, read, version_of
from domain.instruments.catalogue import instrument
from domain.instruments.rules import Flag, Metrics, Sex, SexNeededError
from domain.instruments.schema import Instrument, Measure, Way
from domain.instruments.tier import Tier
from domain.values import Value

ENGINE_VERSION = "1"
"""Raised when the same answers and the same data file would score differently."""

Number: TypeAlias = int | float


class Score(Value):
    """What a form came to, under which version of it and of the scorer.

    ``flags``: None is "cannot be known, an answer is missing". ``derived``: measures and classifications by name.
    ``prorated``: missing answers were filled in by the mean. Numbers that are not whole are rounded to one decimal.
    """

    instrument: str
    version: str
    engine_version: str
    total: int | float | None = None
    band: str | None = None
    tier: Tier | None = None
    subscales: dict[str, int | float] = Field(default_factory=dict)
    flags: dict[str, bool | None] = Field(default_factory=dict)
    derived: dict[str, int | float | str | None] = Field(default_factory=dict)
    prorated: bool = False


def score(instrument_id: str, answers: Answers) -> Score:
    """Score one form.

    Raises UnknownInstrumentError, or InvalidAnswersError when the answers are not those of the form.
    """
    form = instrument(instrument_id)
    responses = read(form, answers)
    filled = _fill(form, responses, on_paper=answers.on_paper)
    total = _total(form, filled)
    subscales = {name: _combine("sum", _pick(filled, items), form) for name, items in form.subscales.items()}
    measures = {measure.name: _measure(form, measure, responses, filled) for measure in form.measures}
    items = dict(zip(form.items.keys(), responses, strict=True))
    metrics: dict[str, Number | None] = {"total": total, **items, **subscales, **measures}
    try:
        flags = _flags(form.flags, metrics, answers.sex)
        metrics |= flags
        classes = {one.name: one.classify(metrics, answers.sex) for one in form.classifications}
        tier = form.tier and form.tier.classify(metrics, answers.sex)
    except SexNeededError as error:
        raise InvalidAnswersError(f"{form.id}: its cut-off depends on sex; give `sex`, female or male") from error
    return Score(
        instrument=form.id,
        version=version_of(form, answers),
        engine_version=ENGINE_VERSION,
        total=total,
        band=_band(form, total),
        tier=Tier(tier) if tier else None,
        subscales=subscales,
        flags=flags,
        derived={**measures, **classes},
        prorated=None in responses,
    )


def _fill(form: Instrument, responses: Responses, *, on_paper: bool) -> tuple[Number, ...]:
    """Fill the gaps as far as the form allows. Raises InvalidAnswersError beyond that."""
    rule = form.missing
    whole = tuple(range(1, form.items.count + 1))
    groups = tuple(form.subscales.values()) if rule.within == "subscale" else (whole,)
    allowed = 0 if rule.paper_only and not on_paper else rule.allowed
    filled = dict(enumerate(responses, start=1))
    means: dict[int, Number] = {}
    for group in groups:
        gaps = [number for number in group if filled[number] is None]
        if len(gaps) > allowed:
            raise InvalidAnswersError(
                f"{form.id} item {gaps[0]}: not answered; ask for it (answers that may be missing: {allowed})"
            )
        answered = [answer for number in group if (answer := filled[number]) is not None]
        means |= {number: sum(answered) / len(answered) for number in gaps}
    return tuple(means[number] if answer is None else answer for number, answer in filled.items())


def _pick(responses: Sequence[Number], items: Sequence[int]) -> list[Number]:
    return [responses[number - 1] for number in items]


def _combine(way: Way, numbers: Sequence[Number], form: Instrument) -> Number:
    """One number of many; sums of whole numbers stay whole."""
    added = sum(numbers)
    match way:
        case "sum":
            return added if isinstance(added, int) else round(added, 1)
        case "mean":
            return round(added / len(numbers), 1)
        case "percent":
            return round(100 * added / (len(numbers) * form.items.maximum), 1)


def _total(form: Instrument, filled: Sequence[Number]) -> Number | None:
    if form.total is None:
        return None
    grouped = {number for group in form.total.highest_of for number in group}
    single = [answer for number, answer in enumerate(filled, start=1) if number not in grouped]
    highest = [max(_pick(filled, group)) for group in form.total.highest_of]
    return _combine(form.total.of, single + highest, form)


def _measure(form: Instrument, measure: Measure, responses: Responses, filled: Sequence[Number]) -> Number | None:
    """Take one measure. Over the whole form it may rest on filled gaps; over named items a gap makes it unknown."""
    if not measure.items and measure.of != "count":
        return _combine(measure.of, filled, form)
    picked = responses if not measure.items else [responses[number - 1] for number in measure.items]
    answers = [answer for answer in picked if answer is not None]
    if len(answers) < len(picked):
        return None
    if measure.of == "count":
        bounds = measure.at_least if len(measure.at_least) > 1 else measure.at_least * len(answers)
        return sum(answer >= bound for answer, bound in zip(answers, bounds, strict=True))
    return _combine(measure.of, answers, form)


def _flags(flags: Sequence[Flag], metrics: Metrics, sex: Sex | None) -> dict[str, bool | None]:
    """Judged in the file's order; each becomes a metric of its own for the rules below it."""
    found: dict[str, bool | None] = {}
    for flag in flags:
        found[flag.name] = flag.holds({**metrics, **found}, sex)
    return found


def _band(form: Instrument, total: Number | None) -> str | None:
    if total is None:
        return None
    reached = [band.name for band in form.bands if total >= band.lowest]
    return reached[-1] if reached else None
