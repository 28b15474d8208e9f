"""How an audit's answers look on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from audit.report import OK, Report

_FILE_WIDTH = 160
_WHOLE = frozenset({"code", "journey", "event", "recorded (UTC)", "occurred (UTC)"})


def show_report(report: Report, *, quiet: bool) -> None:
    """Findings, notes, counts and the verdict. ``quiet``: stdout belongs to a program, so only notes, to stderr."""
    console = _console(stderr=quiet)
    for note in report.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    if quiet:
        return
    if report.findings:
        table = _table("code", "journey", "event", "what")
        for finding in report.findings:
            event = "" if finding.sequence is None else str(finding.sequence)
            table.add_row(finding.code, str(finding.journey_id or ""), event, finding.message)
        console.print(table)
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(report.counts.items()) if count)
    verdict = "ok" if report.exit_code == OK else f"{len(report.findings)} finding(s)"
    console.print(f"{report.command}: {verdict}. {counts or 'nothing checked'} ({report.seconds} s)", markup=False)


def _console(*, stderr: bool = False) -> Console:
    """A terminal as wide as it is; a file or a pipe wide enough for whole names."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_FILE_WIDTH)


def show_timeline(report: Report) -> None:
    """One line for each event."""
    with_data = any("data" in line for line in report.view)
    table = _table(
        "event", "recorded (UTC)", "occurred (UTC)", "what", "by", "purpose", *(["says"] if with_data else [])
    )
    for line in report.view:
        moments = (_clock(line[name]) for name in ("recorded_at", "occurred_at"))
        cells = [line["sequence"], *moments, line["type"], line["actor_role"]]
        cells += [line["purpose"], *([_short(line.get("data"))] if with_data else [])]
        table.add_row(*map(str, cells))
    _console().print(table)


def show_state(report: Report) -> None:
    """The state, part by part."""
    table = _table("", "")
    for name, value in report.view.items():
        table.add_row(name.replace("_", " "), _short(value))
    _console().print(table)


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        # A name cut in two is not found by whoever looks for it; prose may wrap.
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return table


def _clock(moment: str) -> str:
    """An ISO moment in UTC, to the second."""
    return moment[:19].replace("T", " ")


def _short(value: Any) -> str:
    """A nested value as lines of ``name: value``, without what is empty."""
    match value:
        case dict():
            return "\n".join(
                f"{name}: {_inline(part)}" for name, part in value.items() if part not in (None, [], {}, "")
            )
        case list():
            return "\n".join(_inline(part) for part in value) or "none"
        case _:
            return str(value)


def _said(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, part) for name, part in value.items() if part not in (None, [], {}, "")]


def _inline(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(
                f"{name} {_inline(part)}" for name, part in value.items() if part not in (None, [], {}, "")
            )
        case list():
            return "; ".join(map(_inline, value))
        case _:
            return str(value)
