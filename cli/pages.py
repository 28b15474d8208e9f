"""What a demo shows at its end: the timeline by day, the outcome series, the facts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.table import Table

from cli.charts import Series, draw
from domain.instruments import instrument

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stack.demo import Told

LIMITS = {"PHQ-9": (5.0, "remission"), "GAD-7": (5.0, "remission"), "WAI-SR": (35.0, "weak")}


def story_pages(told: Told) -> Iterator[RenderableType]:
    """Timeline, charts, facts."""
    yield _timeline(told)
    for name, (limit, limit_name) in LIMITS.items():
        points = [(told.day_of(point["at"]), float(point["total"])) for point in told.series.get(name, [])]
        yield Panel(draw(Series(instrument(name).title, points, limit, limit_name)), expand=False)
    yield _facts(told)


def _timeline(told: Told) -> Table:
    table = Table(title="Timeline", show_lines=False, pad_edge=False)
    table.add_column("Day", justify="right", style="bold")
    table.add_column("Date")
    table.add_column("What happened")
    for day, events in groupby(told.timeline, key=lambda event: told.day_of(event["recorded_at"])):
        names: dict[str, int] = {}
        date = ""
        for event in events:
            date = f"{datetime.fromisoformat(event['recorded_at']).astimezone(told.zone):%a %Y-%m-%d}"
            name = event["type"].rsplit(".", 1)[0].replace("_", " ")
            names[name] = names.get(name, 0) + 1
        table.add_row(f"D{day}", date, ", ".join(f"{n} ×{c}" if c > 1 else n for n, c in names.items()))
    return table


def _facts(told: Told) -> Table:
    table = Table(title="Facts of the worked case", show_header=False, pad_edge=False)
    for fact in told.facts:
        table.add_row("[green]✓[/]" if fact.holds else "[red]✗[/]", fact.text)
    return table
