"""``alliance audit``: the auditor's tools. Thin: settings, an access record, a run, an answer, an exit code."""
# ruff: noqa: PLC0415  imports wait until a command needs them

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

if TYPE_CHECKING:
    from audit.report import Report
    from runtime.settings import Settings

audit = typer.Typer(
    help="Prove the record: the log against itself, against Temporal, and against this build. Exit codes: 0 all is as "
    "it must be, 1 a finding, 2 usage, 3 something could not be checked.",
    no_args_is_help=True,
)

Journeys = Annotated[list[UUID] | None, typer.Argument(help="Journeys; all when none is named.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All journeys: the default when none is named.")]
Journey = Annotated[UUID, typer.Argument(help="The journey's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else goes to stderr.")]
StackDir = Annotated[
    Path | None,
    typer.Option(
        "--stack",
        help="State directory of an embedded stack, running or kept. Default: the environment, else the default one.",
        show_default=False,
    ),
]
Content = Annotated[bool, typer.Option(help="Open what events say; needs access to the keys.")]
Tell = Callable[[UUID], None]


def examples(*lines: str) -> str:
    """Examples at the end of a command's help, each on a line of its own."""
    return "\n\n".join(("Examples:", *lines))


@dataclass
class Asked:
    """One audit as it was asked for: what to run, on what, shown how."""

    operation: str
    journeys: list[UUID] | None
    stack: Path | None
    as_json: bool
    run: Callable[[Settings, AsyncExitStack, Tell], Awaitable[Report]]
    show: Callable[[Report], None] | None = None


@audit.command(
    epilog=examples(
        "alliance audit verify",
        "alliance audit verify 0199e2a4-… --json",
        "alliance audit verify --no-content      # without access to any key",
    )
)
def verify(
    journeys: Journeys = None,
    *,
    every: All = False,
    content: Content = True,
    as_json: AsJson = False,
    stack: StackDir = None,
) -> None:
    """Verify the log against itself: chains, columns against bytes, seals, fold, read models."""

    async def run(settings: Settings, opened: AsyncExitStack, tell: Tell) -> Report:
        from audit.ledgers import open_keys, open_log
        from audit.verify import verify as verify_log

        keys = await opened.enter_async_context(open_keys(settings)) if content else None
        return await verify_log(await opened.enter_async_context(open_log(settings)), keys, journeys, progress=tell)

    _answer(Asked("audit_verify", _chosen(journeys, every=every), stack, as_json, run))


@audit.command(
    epilog=examples(
        "alliance audit compare",
        "alliance audit compare 0199e2a4-… --stack ./demo-state",
    )
)
def compare(journeys: Journeys = None, *, every: All = False, as_json: AsJson = False, stack: StackDir = None) -> None:
    """Compare the log with Temporal's histories, event by event, byte by byte."""

    async def run(settings: Settings, opened: AsyncExitStack, tell: Tell) -> Report:
        from audit.compare import compare as compare_ledgers
        from audit.ledgers import open_keys, open_log, open_temporal

        keys = await opened.enter_async_context(open_keys(settings))
        log = await opened.enter_async_context(open_log(settings))
        return await compare_ledgers(log, keys, await open_temporal(settings, keys), journeys, progress=tell)

    _answer(Asked("audit_compare", _chosen(journeys, every=every), stack, as_json, run))


@audit.command(
    epilog=examples(
        "alliance audit replay 0199e2a4-…",
        "alliance audit replay --json",
    )
)
def replay(journeys: Journeys = None, *, every: All = False, as_json: AsJson = False, stack: StackDir = None) -> None:
    """Replay every run with this build, strictly: arguments, timers, answers and results, payload by payload."""

    async def run(settings: Settings, opened: AsyncExitStack, tell: Tell) -> Report:
        from audit.ledgers import open_keys, open_temporal
        from audit.replay import replay as replay_runs

        keys = await opened.enter_async_context(open_keys(settings))
        return await replay_runs(await open_temporal(settings, keys), keys, journeys, progress=tell)

    _answer(Asked("audit_replay", _chosen(journeys, every=every), stack, as_json, run))


@audit.command(
    epilog=examples(
        "alliance audit timeline 0199e2a4-…",
        "alliance audit timeline 0199e2a4-… --content    # also what each event says",
    )
)
def timeline(journey: Journey, *, content: Content = False, as_json: AsJson = False, stack: StackDir = None) -> None:
    """Show every event of a journey in order: what, when, by which role, to what purpose."""

    async def run(settings: Settings, opened: AsyncExitStack, _: Tell) -> Report:
        from audit.ledgers import open_keys, open_log
        from audit.views import timeline as read_timeline

        keys = await opened.enter_async_context(open_keys(settings)) if content else None
        return await read_timeline(await opened.enter_async_context(open_log(settings)), keys, journey)

    from cli.audit_views import show_timeline

    _answer(Asked("audit_timeline", [journey], stack, as_json, run, show_timeline))


@audit.command(
    "as-of",
    epilog=examples(
        "alliance audit as-of 0199e2a4-… --sequence 12",
        "alliance audit as-of 0199e2a4-… --time 2026-11-23T16:00:00-05:00",
    ),
)
def as_of(  # noqa: PLR0913  each is an option of its own
    journey: Journey,
    *,
    time: Annotated[str | None, typer.Option(help="ISO 8601, with a zone; without one, UTC.")] = None,
    sequence: Annotated[int | None, typer.Option(min=1, help="After this event.")] = None,
    occurred: Annotated[bool, typer.Option("--occurred", help="By when things happened, not when recorded.")] = False,
    as_json: AsJson = False,
    stack: StackDir = None,
) -> None:
    """Show a journey as it was known at a moment: stage, holds, consents, what was owed by whom."""
    if (time is None) == (sequence is None):
        raise typer.BadParameter("say either --time or --sequence")
    at = _moment(time) if time is not None else None

    async def run(settings: Settings, opened: AsyncExitStack, _: Tell) -> Report:
        from audit.ledgers import open_keys, open_log
        from audit.views import Moment
        from audit.views import as_of as fold_until

        keys = await opened.enter_async_context(open_keys(settings))
        log = await opened.enter_async_context(open_log(settings))
        return await fold_until(log, keys, journey, Moment(sequence=sequence, time=at, occurred=occurred))

    from cli.audit_views import show_state

    _answer(Asked("audit_as_of", [journey], stack, as_json, run, show_state))


def _chosen(journeys: list[UUID] | None, *, every: bool) -> list[UUID] | None:
    if every and journeys:
        raise typer.BadParameter("name journeys, or say --all")
    return journeys or None


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no ISO 8601 time, such as 2026-11-23T16:00:00-05:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _answer(asked: Asked) -> None:
    """Run, print, leave with the exit code."""
    from audit.report import SOURCE_UNAVAILABLE, Finding, Report
    from cli.audit_views import show_report
    from cli.errors import expected

    try:
        report = asyncio.run(_run(asked))
    except Exception as error:
        if not isinstance(error, expected()):
            raise
        report = Report(asked.operation.replace("_", " ", 1).replace("_", "-"))
        report.findings.append(Finding(SOURCE_UNAVAILABLE, None, None, str(error)))
    if asked.as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
    elif asked.show and report.view is not None:
        asked.show(report)
    show_report(report, quiet=asked.as_json)
    raise typer.Exit(report.exit_code)


async def _run(asked: Asked) -> Report:
    from runtime.logs import configure_logs
    from runtime.settings import load_settings

    async with AsyncExitStack() as opened:
        await _adopt_stack(asked.stack, opened)
        # An audit must not take the metrics port of the worker whose settings it borrows.
        settings = load_settings().model_copy(update={"metrics_bind": None})
        configure_logs(settings.log_level)
        _note_access(asked)
        with _progress(quiet=asked.as_json) as tell:
            return await asked.run(settings, opened, tell)


def _note_access(asked: Asked) -> None:
    """Log who looks at what, before anything is read."""
    import structlog

    from domain.envelope import Purpose

    named: tuple[Any, ...] = tuple(asked.journeys or ()) or ("all",)
    for journey_id in named:
        structlog.get_logger("alliance.audit").info(
            "record_accessed",
            operation=asked.operation,
            subject=_who(),
            purpose=Purpose.HEALTHCARE_OPERATIONS.value,
            journey_id=journey_id,
        )


def _who() -> str:
    """The operating system's name of whoever runs this, or their number where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


async def _adopt_stack(stack: Path | None, opened: AsyncExitStack) -> None:
    """Take the settings of an embedded stack: the named one, or the default one when the settings name no log."""
    from runtime.settings import load_settings
    from stack.paths import state_dir
    from stack.reopen import ledgers

    if stack is not None or load_settings().log_database_url is None:
        os.environ.update(await opened.enter_async_context(ledgers(stack or state_dir() / "up")))


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """Count journeys on stderr while an audit runs, where somebody looks."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    done: list[Any] = []
    with console.status("auditing …") as status:

        def tell(journey_id: UUID) -> None:
            done.append(journey_id)
            status.update(f"{len(done)} journeys audited …")

        yield tell
