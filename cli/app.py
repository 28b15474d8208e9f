"""The commands, thin: each wires what another folder does. Imports wait until a command needs them."""
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import demo as demo_commands
from cli.audit import audit
from cli.errors import expected
from cli.upkeep import db, healthcheck

OK, FINDING, USAGE, UNAVAILABLE = 0, 1, 2, 3

app = typer.Typer(
    name="alliance",
    help="Ketamine- and psychedelic-assisted psychotherapy in collaborative care: durable, event-sourced, auditable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db, name="db")
app.add_typer(audit, name="audit")


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. 0 ok, 1 a finding, 2 usage, 3 something needed is not there."""
    try:
        return app(arguments, standalone_mode=False) or OK
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return USAGE
    except Exception as error:
        if hasattr(error, "format_message"):  # click's own complaints about usage
            print(f"alliance: {error.format_message().rstrip('.')}. See `alliance --help`.", file=sys.stderr)
            return USAGE
        if isinstance(error, expected()):
            print(f"alliance: {error}", file=sys.stderr)
            return UNAVAILABLE
        raise


async def _until_told(service: AbstractAsyncContextManager[Any]) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with service:
        await told.wait()


@app.command()
def worker() -> None:
    """Run journeys: workflows, the ledger and the effects."""
    from runtime.settings import load_settings
    from runtime.telemetry import start_telemetry
    from worker.journeys import journey_workers

    settings = load_settings()
    start_telemetry(settings, "worker")
    asyncio.run(_until_told(journey_workers(settings)))


@app.command("escalation-worker")
def escalation_worker() -> None:
    """Page clinicians: a worker of its own, so that nothing else delays a page."""
    from runtime.settings import load_settings
    from runtime.telemetry import start_telemetry
    from worker.escalations import escalation_worker as escalations

    settings = load_settings()
    start_telemetry(settings, "escalations")
    asyncio.run(_until_told(escalations(settings)))


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API."""
    from api.serving import NEEDED, serve
    from runtime.settings import load_settings
    from runtime.telemetry import start_telemetry

    settings = load_settings()
    settings.check(*NEEDED, "inbox_folder")
    start_telemetry(settings, "api")
    serve(settings, host, port, Path(settings.need("inbox_folder")))


app.command()(demo_commands.demo)
app.command()(demo_commands.up)
app.command()(demo_commands.token)
app.command()(healthcheck)
