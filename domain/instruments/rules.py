"""Cut-offs as data: conditions over the numbers of a form, judged in three values.

A missing answer makes a rule *unknown* (None), never false: "item 9 was not answered" is not "no suicidal thoughts".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from domain.values import Value

Sex: TypeAlias = Literal["female", "male"]
Metrics: TypeAlias = Mapping[str, float | None]
"""What a rule may look at, by name: the total, subscales, measures, single items, and flags as 0 or 1."""


class SexNeededError(ValueError):
    """A cut-off differs by sex and none was given."""


class Condition(Value):
    """One bound or more on one metric. ``below`` is exclusive, the others include their bound."""

    metric: str
    at_least: float | None = None
    at_least_by_sex: dict[Sex, float] | None = None
    at_most: float | None = None
    below: float | None = None

    def holds(self, metrics: Metrics, sex: Sex | None = None) -> bool | None:
        """None when the metric is unknown. Raises SexNeededError when the bound depends on an unknown sex."""
        at_least = self.at_least
        if self.at_least_by_sex is not None:
            if sex is None:
                raise SexNeededError(self.metric)
            at_least = self.at_least_by_sex[sex]
        number = metrics.get(self.metric)
        if number is None:
            return None
        return (
            (at_least is None or number >= at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


class Rule(Value):
    """All of the one list and, when there is one, any of the other."""

    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()

    def holds(self, metrics: Metrics, sex: Sex | None = None) -> bool | None:
        """Three-valued: a known answer that settles the rule settles it, whatever else is missing."""
        every = [condition.holds(metrics, sex) for condition in self.all_of]
        some = [condition.holds(metrics, sex) for condition in self.any_of]
        if False in every or (some and not any(answer is not False for answer in some)):
            return False
        if None in every or (some and True not in some):
            return None
        return True


class Flag(Rule):
    """A yes/no finding, such as a positive screen. Later rules may refer to it by name as 0 or 1."""

    name: str


class Case(Rule):
    """One outcome of a classification. ``loinc`` is its LOINC answer code, where LOINC has one."""

    value: str
    loinc: str | None = None


class Classification(Value):
    """The first case that holds, else ``otherwise``; None when a case before it cannot be known."""

    name: str
    otherwise: str
    cases: tuple[Case, ...]

    def classify(self, metrics: Metrics, sex: Sex | None = None) -> str | None:
        """Return the value of the first case that holds, in the file's order."""
        for case in self.cases:
            answer = case.holds(metrics, sex)
            if answer is None:
                return None
            if answer:
                return case.value
        return self.otherwise
