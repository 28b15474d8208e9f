"""What a later score means against an earlier one: response, remission, reliable change (domain.md §4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from domain.instruments.catalogue import instrument
from domain.instruments.schema import ChangeIndices
from domain.instruments.scoring import Score
from domain.values import Value

Reliable: TypeAlias = Literal["improvement", "deterioration"]


class Change(Value):
    """From baseline to current. None is "not defined for this instrument, or not known".

    ``points``: current minus baseline. ``percent``: of the baseline, one decimal, None when the baseline is 0.
    ``reliable``: None also when the change is within measurement error.
    ``sizes``: names of the published sizes of improvement that were reached.
    """

    points: float
    percent: float | None
    response: bool | None
    remission: bool | None
    reliable: Reliable | None
    clinically_significant: bool | None
    sizes: tuple[str, ...] = ()


def change(
    instrument_id: str, baseline: float, current: float, *, flags: Mapping[str, bool | None] | None = None
) -> Change:
    """Compare two totals of one instrument.

    ``flags`` are those of the current score; PCL-5 and CAPS-5 need them to know remission.
    Raises UnknownInstrumentError.
    """
    indices = instrument(instrument_id).change
    improved_by = current - baseline if indices.higher_is_better else baseline - current
    metrics = {"total": current, **(flags or {})}
    reliable = _reliable(indices, improved_by)
    return Change(
        points=current - baseline,
        percent=round(100 * (current - baseline) / baseline, 1) if baseline > 0 else None,
        response=_response(indices, baseline, improved_by),
        remission=indices.remission.holds(metrics) if indices.remission else None,
        reliable=reliable,
        clinically_significant=_clinically_significant(indices, baseline, current, reliable),
        sizes=_sizes(indices, baseline, improved_by),
    )


def change_between(baseline: Score, current: Score) -> Change:
    """Compare two scores. Raises ValueError when they are of different instruments or have no total."""
    if baseline.instrument != current.instrument:
        raise ValueError("scores of different instruments cannot be compared; take the baseline of the same one")
    if baseline.total is None or current.total is None:
        raise ValueError(f"{current.instrument} has no total; compare its tiers instead")
    return change(current.instrument, baseline.total, current.total, flags=current.flags)


def _response(indices: ChangeIndices, baseline: float, improved_by: float) -> bool | None:
    if indices.response_fraction is None or baseline <= 0:
        return None
    return improved_by >= indices.response_fraction * baseline


def _reliable(indices: ChangeIndices, improved_by: float) -> Reliable | None:
    if indices.reliable is None or abs(improved_by) < indices.reliable:
        return None
    return "improvement" if improved_by > 0 else "deterioration"


def _clinically_significant(
    indices: ChangeIndices, baseline: float, current: float, reliable: Reliable | None
) -> bool | None:
    """Reliably better, and from the ill side of the cut-off to the healthy one."""
    if indices.recovered is None or indices.reliable is None:
        return None
    was, is_now = (indices.recovered.holds({"total": total}) for total in (baseline, current))
    return reliable == "improvement" and is_now is True and was is False


def _sizes(indices: ChangeIndices, baseline: float, improved_by: float) -> tuple[str, ...]:
    reached = []
    for size in indices.sizes:
        by_points = size.points is not None and improved_by >= size.points
        by_percent = size.percent is not None and baseline > 0 and 100 * improved_by >= size.percent * baseline
        if by_points or by_percent:
            reached.append(size.name)
    return tuple(reached)
