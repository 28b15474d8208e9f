"""Series drawn in the terminal: totals over the days of a course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 52
HEIGHT = 10
DOT = "●"


@dataclass(frozen=True)
class Series:
    """One instrument's totals by day; ``limit`` is a line worth seeing, such as the remission cut-off."""

    title: str
    points: Sequence[tuple[int, float]]
    limit: float | None = None
    limit_name: str = ""


def draw(series: Series) -> str:
    """The series as text: days along the bottom, totals up the side, the last total at the end of its line."""
    if not series.points:
        return f"{series.title}: no scores"
    days = [day for day, _ in series.points]
    totals = [total for _, total in series.points] + ([series.limit] if series.limit is not None else [])
    low, high = min(totals), max(totals)
    first, last = min(days), max(days)

    def column(day: int) -> int:
        return round((day - first) / max(last - first, 1) * (WIDTH - 1))

    def row(total: float) -> int:
        return round((total - low) / max(high - low, 1) * (HEIGHT - 1))

    def point_row(total: float) -> int:
        """Its row, but never the limit's: a total above a cut-off must not look as if it lay on it."""
        level = row(total)
        if series.limit is None or level != row(series.limit) or total == series.limit:
            return level
        return min(level + 1, HEIGHT - 1) if total > series.limit else max(level - 1, 0)

    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    if series.limit is not None:
        grid[row(series.limit)] = ["·"] * WIDTH
    for day, total in series.points:
        grid[point_row(total)][column(day)] = DOT
    lines = [series.title]
    for level in reversed(range(HEIGHT)):
        on_limit = series.limit is not None and level == row(series.limit)
        value = series.limit if on_limit and series.limit is not None else low + (high - low) * level / (HEIGHT - 1)
        name = f" {series.limit_name}" if on_limit else ""
        lines.append(f"{value:6.0f} │{''.join(grid[level])}{name}")
    lines.append(f"       └{'─' * WIDTH}")
    lines.append(f"        D{first}{'D' + str(last):>{WIDTH - len(str(first)) - 1}}")
    values = "  ".join(f"D{day}:{total:g}" for day, total in series.points)
    return "\n".join([*lines, f"        {values}"])
