"""``alliance demo`` and ``alliance up``: the whole of Alliance on this machine, for looking and for hands-on use."""
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from stack.demo import Told
    from stack.embedded import EmbeddedStack

err = Console(stderr=True)
AUDITS = ("verify", "compare", "replay")
AUDIT_SECONDS = 180


@dataclass
class Audit:
    """One auditor's command and its answer."""

    name: str
    ok: bool
    counts: dict[str, Any] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)


def demo(
    case: Annotated[str, typer.Option(help="Worked case to tell.")] = "V1",
    keep: Annotated[Path | None, typer.Option(help="Keep databases and histories in this directory.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="Leave at the end instead of staying up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one closing JSON line on stdout.")] = False,
) -> None:
    """Boot everything, walk a worked case through the API on its own dates, and let the auditor check it."""
    from runtime.logs import configure_logs
    from stack.demo import STORIES
    from stack.paths import scratch_dir

    if case not in STORIES:
        raise typer.BadParameter(f"there is no case {case}; tell one of: {', '.join(STORIES)}")
    configure_logs("warning")
    stay = sys.stdout.isatty() and not leave and not as_json
    state_dir = keep.absolute() if keep else scratch_dir("alliance-demo-")
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        code = asyncio.run(_demo(case, state_dir, stay=stay, as_json=as_json))
    finally:
        if keep is None:
            shutil.rmtree(state_dir, ignore_errors=True)
    raise typer.Exit(code)


async def _demo(case: str, state_dir: Path, *, stay: bool, as_json: bool) -> int:
    from stack.embedded import EmbeddedStack, StackOptions
    from stack.stories.teller import StoryError

    seconds: dict[str, float] = {}
    began = time.monotonic()
    async with AsyncExitStack() as cleanup:
        err.print("[bold]Alliance[/] demo: starting PostgreSQL, Temporal, the outside world, workers and the API ...")
        stack = await cleanup.enter_async_context(EmbeddedStack(StackOptions(state_dir=state_dir)))
        seconds["boot"] = round(time.monotonic() - began, 1)
        try:
            told = await _tell(stack, state_dir, case)
        except StoryError as error:
            err.print(f"[bold red]The story stopped:[/] {error}")
            if as_json:
                print(_closing_line(case, None, [], [_finding("STORY_STOPPED", str(error))], seconds))
            return 1
        seconds |= told.seconds
        audited = time.monotonic()
        audits = await asyncio.gather(*(_audit(name, state_dir) for name in AUDITS))
        seconds["audit"] = round(time.monotonic() - audited, 1)
        if not as_json:
            _show(told, audits, stack, stay=stay)
        ok = told.holds and all(audit.ok for audit in audits)
        if stay:
            await _until_interrupted()
    findings = [finding for audit in audits for finding in audit.findings]
    findings += [
        {"code": "FACT_FAILED", "journey_id": told.journey_id, "sequence": None, "message": fact.text}
        for fact in told.facts
        if not fact.holds
    ]
    if as_json:
        print(_closing_line(case, told, audits, findings, seconds))
    else:
        stages = ", ".join(f"{name} {value:g} s" for name, value in seconds.items())
        verdict = "[bold green]All facts hold.[/]" if ok else "[bold red]Not all facts hold.[/]"
        err.print(f"{verdict} {stages}; {time.monotonic() - began:.1f} s in all.")
    return 0 if ok else 1


async def _tell(stack: EmbeddedStack, state_dir: Path, case: str) -> Told:
    """Tell the story with a line that moves."""
    from stack.demo import tell

    line = Text("")
    steps = 0
    with Live(line, console=err, refresh_per_second=8, transient=True):

        def progress(what: str, moment: datetime) -> None:
            nonlocal steps
            steps += 1
            line.plain = f"  {moment:%a %Y-%m-%d %H:%M}  {what}  (step {steps})"

        return await tell(stack, state_dir, case, progress)


async def _audit(name: str, state_dir: Path) -> Audit:
    """Run one of the auditor's commands as an auditor would."""
    argv = [sys.executable, "-m", "cli", "audit", name, "--stack", str(state_dir), "--json"]
    if name == "replay":
        argv.append("--all")
    with (state_dir / "logs" / f"audit-{name}.log").open("ab") as log:  # that the record was read is a record too
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=log)
        out, _ = await asyncio.wait_for(process.communicate(), AUDIT_SECONDS)
    with suppress(ValueError):
        answer = json.loads(out)
        ok = process.returncode == 0 and bool(answer["ok"])
        return Audit(name, ok, answer["counts"], answer["findings"])
    message = f"audit {name} ended with exit code {process.returncode}"
    return Audit(name, ok=False, findings=[_finding("AUDIT_UNAVAILABLE", message)])


def _finding(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "journey_id": None, "sequence": None, "message": message}


def _show(told: Told, audits: list[Audit], stack: EmbeddedStack, *, stay: bool) -> None:
    from cli.pages import story_pages

    out = Console()
    for page in story_pages(told):
        out.print(page)
    for audit in audits:
        mark = "[green]passed[/]" if audit.ok else "[red]failed[/]"
        counts = ", ".join(f"{count} {name}" for name, count in audit.counts.items())
        out.print(f"  audit {audit.name:<8} {mark}  {counts}")
    if stay:
        out.print(f"\n  The journey in Temporal: {stack.temporal_ui_url}{told.ui_path}", soft_wrap=True)
        out.print("  (The demo winds Temporal's clock: dates there are its own, the journey's are on that page.)")
        out.print(f"  API: {stack.api_url}/docs\n", soft_wrap=True)


def _closing_line(
    case: str,
    told: Told | None,
    audits: list[Audit],
    findings: list[dict[str, Any]],
    seconds: dict[str, float],
) -> str:
    """The one JSON line of architecture §3, with the facts and the seconds of each stage."""
    facts = [{"text": fact.text, "holds": fact.holds} for fact in told.facts] if told else []
    counts = {
        "facts": len(facts),
        "facts_held": sum(fact["holds"] is True for fact in facts),
        "commands": told.commands if told else 0,
        "events": len(told.timeline) if told else 0,
    }
    line = {
        "command": "demo",
        "ok": told is not None and told.holds and not findings and all(audit.ok for audit in audits),
        "counts": counts,
        "findings": findings,
        "seconds": round(sum(seconds.values()), 1),
        "case": case,
        "facts": facts,
        "stages": seconds,
        "audits": {audit.name: audit.counts for audit in audits},
    }
    return json.dumps(line)


async def _until_interrupted() -> None:
    err.print("  Everything stays up; press Ctrl-C to stop it.")
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def up(
    state: Annotated[Path | None, typer.Option(help="State directory; data is kept here between runs.")] = None,
) -> None:
    """Run the same stack on the real clock for hands-on use. Data is kept between runs."""
    from runtime.logs import configure_logs

    configure_logs("warning")
    raise typer.Exit(asyncio.run(_up(state)))


PREFERRED_PORTS = {"api": 8000, "temporal": 7233, "temporal_ui": 8233}


async def _up(state: Path | None) -> int:
    from stack.embedded import EmbeddedStack, StackOptions
    from stack.paths import state_dir
    from stack.processes import free_ports, port_is_free

    directory = (state or state_dir() / "up").absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = {name: port if port_is_free(port) else free_ports(1)[0] for name, port in PREFERRED_PORTS.items()}
    err.print("[bold]Alliance[/]: starting PostgreSQL, Temporal, the outside world, workers and the API ...")
    async with EmbeddedStack(StackOptions(state_dir=directory, ports=ports)) as stack:
        _say_how(stack, directory)
        interrupted = asyncio.create_task(_until_interrupted())
        await asyncio.wait((interrupted, asyncio.ensure_future(stack.supervisor.died)), return_when="FIRST_COMPLETED")
        if stack.supervisor.died.done():
            err.print(f"[bold red]A server stopped:[/] {stack.supervisor.died.result()}")
            return 1
    return 0


def _say_how(stack: EmbeddedStack, directory: Path) -> None:
    """How to get a token and send a first command."""
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"\n  API          {stack.api_url}/docs")
    out.print(f"  Temporal UI  {stack.temporal_ui_url}/namespaces/alliance/workflows")
    out.print(f"  Data         {directory}\n")
    out.print("  A token for a role (patient, therapist, prescriber, coordinator, ...):")
    out.print(f"    TOKEN=$(./run token therapist --state {directory})\n")
    out.print("  A first command, a referral:")
    out.print(
        f"""    curl -s {stack.api_url}/journeys -H "Authorization: Bearer $TOKEN" \\
      -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" -H "Content-Type: application/json" \\
      -d @docs/examples/referral.json\n"""
    )


def token(
    role: Annotated[str, typer.Argument(help="patient, therapist, prescriber, coordinator, on_call, auditor, ...")],
    state: Annotated[Path | None, typer.Option(help="State directory of the running stack.")] = None,
) -> None:
    """Print an access token for one role of a running stack."""
    import httpx2

    from stack.connection import NoStackError, running_stack
    from stack.paths import state_dir
    from stack.people import ROLES
    from stack.tokens import token as fetch

    directory = (state or state_dir() / "up").absolute()
    if role not in ROLES:
        raise typer.BadParameter(f"nobody has the role {role}; ask for one of: {', '.join(ROLES)}")
    connection = running_stack(directory)
    try:
        print(asyncio.run(fetch(directory, connection.ports["identity"], role)))
    except httpx2.TransportError:
        raise NoStackError(f"the stack in {directory} does not answer: run `./run up` first") from None
