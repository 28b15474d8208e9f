"""``python -m benchmarks``: measure all of it, or one topic, and print the figures."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from time import perf_counter

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks import append, imports, proof, rules
from benchmarks.course import Course, live_v1
from benchmarks.database import Database, log_database
from benchmarks.measure import Figure, load, machine
from cli.errors import expected

OK, UNAVAILABLE = 0, 3
_FILE_WIDTH = 120

ON_POSTGRES: Mapping[str, Callable[[Course, Database], Awaitable[list[Figure]]]] = {
    "append": append.figures,
    "proof": proof.figures,
}
ALONE: Mapping[str, Callable[[Course], Awaitable[list[Figure]]]] = {
    "rules": rules.figures,
    "imports": lambda _: imports.figures(),
}
TOPICS = (*ON_POSTGRES, *ALONE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exit code 0, 2 for wrong usage, 3 when the embedded PostgreSQL cannot run here."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure, side by side in one run. Asserts nothing.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout; everything else on stderr")
    parser.add_argument("--only", metavar="NAME", choices=TOPICS, help=f"one topic: {', '.join(TOPICS)}")
    asked = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    started = perf_counter()
    try:
        where, figures = asyncio.run(_measure([asked.only] if asked.only else list(TOPICS)))
    except expected() as error:
        print(f"bench: {error}", file=sys.stderr)
        return UNAVAILABLE
    seconds = round(perf_counter() - started, 1)
    if asked.json:
        print(_as_json(where, figures, seconds))
    else:
        _show(where, figures, seconds)
    return OK


async def _measure(topics: list[str]) -> tuple[dict[str, str], dict[str, list[Figure]]]:
    """Give the machine's description and each topic's figures."""
    where, found = machine() | {"load before": load()}, {}
    course = live_v1()
    async with AsyncExitStack() as stack:
        database: Database | None = None
        for topic in topics:
            print(f"bench: measuring {topic}", file=sys.stderr)
            if topic in ALONE:
                found[topic] = await ALONE[topic](course)
                continue
            if database is None:
                database = await stack.enter_async_context(log_database())
                where |= database.described
            found[topic] = await ON_POSTGRES[topic](course, database)
    return where | {"load after": load()}, found


def _as_json(where: dict[str, str], found: dict[str, list[Figure]], seconds: float) -> str:
    figures = [{"topic": topic, **one.as_json()} for topic, figures in found.items() for one in figures]
    counts = {"topics": len(found), "figures": len(figures)}
    answer = {"command": "bench", "ok": True, "counts": counts, "findings": [], "seconds": seconds}
    return json.dumps({**answer, "machine": where, "figures": figures}, ensure_ascii=False)


def _show(where: dict[str, str], found: dict[str, list[Figure]], seconds: float) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_FILE_WIDTH)
    for name, value in where.items():
        console.print(f"{name}: {value}", markup=False, soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("figure", overflow="fold")
    for name in ("median", "min..max", "unit", "rounds"):
        table.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
    for topic, figures in found.items():
        table.add_section()
        for one in figures:
            spread = f"{_short(one.least)}..{_short(one.greatest)}"
            table.add_row(f"{topic}: {one.name}", _short(one.median), spread, one.unit, str(one.rounds))
    console.print(table)
    console.print(f"{seconds} s", markup=False)


def _short(value: float) -> str:
    """Three digits that mean something; more would pretend."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
