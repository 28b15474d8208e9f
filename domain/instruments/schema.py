"""What an instrument's data file may say. A new instrument is a new file, not new code.

Files hold numbers, codes and cut-offs; no item text, whatever the print policy (domain.md §4).
"""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from domain.instruments.rules import Classification, Condition, Flag, Rule
from domain.values import ShortText, Value

Way: TypeAlias = Literal["sum", "mean", "percent"]
"""How answers become one number; ``percent`` is of the highest possible sum."""


class Items(Value):
    """The questions, as numbers 1 to ``count``; or by ``names`` when later ones are asked only after some yes.

    ``ask_when`` maps a name to the name whose yes opens it. ``loinc`` has one code per item, or is empty.
    """

    count: int = Field(ge=1)
    kind: Literal["number", "yes_no"] = "number"
    minimum: int = 0
    maximum: int = Field(ge=1)
    reverse: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    ask_when: dict[str, str] = Field(default_factory=dict)
    loinc: tuple[str, ...] = ()

    def keys(self) -> tuple[str, ...]:
        """Name the single items as rules do: by their names, or item1, item2 and so on."""
        return self.names or tuple(f"item{number}" for number in range(1, self.count + 1))

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        per_item = (self.names, self.loinc)
        if any(part and len(part) != self.count for part in per_item):
            raise ValueError("names and loinc need one entry per item, or none at all")
        if self.kind == "yes_no" and (self.minimum, self.maximum) != (0, 1):
            raise ValueError("a yes/no item goes from 0 to 1")
        if not set(self.reverse) <= set(range(1, self.count + 1)):
            raise ValueError("reverse names an item that does not exist")
        if not (set(self.ask_when) | set(self.ask_when.values())) <= set(self.names):
            raise ValueError("ask_when names an item that does not exist")
        return self


class Missing(Value):
    """How many answers may be missing and still be filled by the mean of the rest. The default: none."""

    allowed: int = 0
    within: Literal["form", "subscale"] = "form"
    paper_only: bool = True


class Total(Value):
    """The headline number. Of each group in ``highest_of`` only the highest item counts (QIDS)."""

    of: Way = "sum"
    highest_of: tuple[tuple[int, ...], ...] = ()


class Measure(Value):
    """Another number worth reporting. Without ``items`` it is over the whole form.

    ``count`` counts the items at or above ``at_least``: one bound for all, or one for each.
    """

    name: str
    of: Literal["sum", "mean", "percent", "count"] = "sum"
    items: tuple[int, ...] = ()
    at_least: tuple[int, ...] = ()


class Band(Value):
    """A severity band, from this total up to the next band."""

    lowest: int
    name: str


class Rewording(Value):
    """Another wording of the same form, which turns other items around."""

    version: ShortText
    reverse: tuple[int, ...]


class ImprovementSize(Value):
    """A published size of change that matters: in points, or in percent of the baseline."""

    name: ShortText
    points: float | None = None
    percent: float | None = None


class ChangeIndices(Value):
    """How a later total is judged against the baseline (domain.md §4.4). What is absent is not judged.

    ``reliable`` is in points. ``recovered`` is the clinical cut-off's healthy side.
    """

    higher_is_better: bool = False
    reliable: float | None = None
    reliable_subscale: float | None = None
    response_fraction: float | None = None
    remission: Rule | None = None
    recovered: Condition | None = None
    sizes: tuple[ImprovementSize, ...] = ()


class Loinc(Value):
    """LOINC codes of the panel and of its total (for a tiered screener, of the tier)."""

    panel: str | None = None
    total: str | None = None


class Instrument(Value):
    """One instrument, as its file says. ``print_policy``: P text may be shipped, A shown with terms, N score only."""

    id: ShortText
    version: ShortText
    title: ShortText
    rater: Literal["patient", "clinician"]
    print_policy: Literal["P", "A", "N"]
    unit: ShortText = "{score}"
    sources: tuple[ShortText, ...] = Field(min_length=1)
    items: Items
    rewordings: tuple[Rewording, ...] = ()
    missing: Missing = Missing()
    total: Total | None = None
    subscales: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    measures: tuple[Measure, ...] = ()
    bands: tuple[Band, ...] = ()
    flags: tuple[Flag, ...] = ()
    classifications: tuple[Classification, ...] = ()
    tier: Classification | None = None
    loinc: Loinc = Loinc()
    change: ChangeIndices = ChangeIndices()

    @property
    def total_range(self) -> tuple[float, float] | None:
        """The lowest and highest possible total; None for an instrument without a total."""
        if self.total is None:
            return None
        slots = self.items.count - sum(len(group) - 1 for group in self.total.highest_of)
        match self.total.of:
            case "sum":
                return slots * self.items.minimum, slots * self.items.maximum
            case "mean":
                return self.items.minimum, self.items.maximum
            case "percent":
                return 0, 100

    @model_validator(mode="after")
    def _refers_only_to_what_exists(self) -> Self:
        groups = [*self.subscales.values(), *(measure.items for measure in self.measures)]
        if self.total is not None:
            groups.extend(self.total.highest_of)
        if not {number for group in groups for number in group} <= set(range(1, self.items.count + 1)):
            raise ValueError("a subscale, measure or group names an item that does not exist")
        known = {"total", *self.items.keys(), *self.subscales, *(measure.name for measure in self.measures)}
        for rule in self._rules():
            if not {condition.metric for condition in (*rule.all_of, *rule.any_of)} <= known:
                raise ValueError("a rule looks at a metric that does not exist, or at a flag below it")
            if isinstance(rule, Flag):
                known.add(rule.name)
        in_subscales = {number for group in self.subscales.values() for number in group}
        if self.missing.within == "subscale" and len(in_subscales) < self.items.count:
            raise ValueError("missing answers are filled within subscales, and an item belongs to none")
        if list(self.bands) != sorted(self.bands, key=lambda band: band.lowest):
            raise ValueError("bands go from the lowest total to the highest")
        return self

    def _rules(self) -> tuple[Rule, ...]:
        classifications = (*self.classifications, *((self.tier,) if self.tier else ()))
        remission = (self.change.remission,) if self.change.remission else ()
        return (*self.flags, *(case for one in classifications for case in one.cases), *remission)
