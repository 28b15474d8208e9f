"""Upkeep: the schema, the read models, and whether a process is well."""
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uuid import UUID

    from domain.envelope import EventRecord, JourneySummary, WorklistItem
    from runtime.settings import Settings
    from store.projections import RebuildReport

db = typer.Typer(help="The databases of the event log and of the keys.", no_args_is_help=True)


@db.command()
def migrate() -> None:
    """Bring both databases to this build's schema. Safe to run again."""
    from runtime.settings import load_settings
    from runtime.telemetry import start_telemetry
    from store.migrate import migrate as bring_up

    settings = load_settings()
    settings.check("log_owner_database_url", "keys_owner_database_url")
    start_telemetry(settings, "migrate")

    async def both() -> list[str]:
        log = await bring_up(settings.need("log_owner_database_url"), "log")
        return log + await bring_up(settings.need("keys_owner_database_url"), "keys")

    applied = asyncio.run(both())
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@db.command()
def rebuild() -> None:
    """Fold every journey again and replace its summary and worklist. Safe beside live appends, and to run again."""
    from runtime.settings import load_settings

    settings = load_settings()
    settings.check("log_owner_database_url", "keys_database_url", "kek_file")
    report = asyncio.run(_rebuild(settings))
    print(f"rebuilt {report.rebuilt} journeys; {len(report.shredded)} have no key any more")


async def _rebuild(settings: Settings) -> RebuildReport:
    from audit.fold import fold
    from domain.journey import Journey, project
    from store.errors import StoreError
    from store.keys import KeyStore
    from store.log import EventLog
    from store.pool import open_pool
    from store.projections import Projections
    from vault.kek import LocalFileKek

    def projected(journey_id: UUID, records: list[EventRecord]) -> tuple[JourneySummary, tuple[WorklistItem, ...]]:
        state, problem = fold(journey_id, records)
        if problem is not None or not isinstance(state, Journey):
            raise StoreError(f"journey {journey_id} does not fold: run `alliance audit verify {journey_id}` first")
        return project(state)

    async with (
        await open_pool(settings.need("log_owner_database_url"), application_name="alliance-rebuild") as log_pool,
        await open_pool(settings.need("keys_database_url"), application_name="alliance-rebuild") as keys_pool,
    ):
        keys = KeyStore(keys_pool, LocalFileKek.open(Path(settings.need("kek_file"))))
        return await Projections(log_pool).rebuild(EventLog(log_pool), keys, projected)


def healthcheck(
    process: Annotated[str, typer.Argument(help="worker, escalation-worker or api")],
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8000,
) -> None:
    """Ask whether a process does its work: exit 0 when it does, 1 when it does not."""
    from runtime.health import api_is_ready, queues_are_polled
    from runtime.names import EFFECTS, ESCALATIONS, JOURNEYS

    checks = {
        "worker": lambda: queues_are_polled(JOURNEYS, EFFECTS),
        "escalation-worker": lambda: queues_are_polled(ESCALATIONS),
        "api": lambda: api_is_ready(port),
    }
    if process not in checks:
        raise typer.BadParameter(f"no such process; ask for one of: {', '.join(checks)}")
    well = asyncio.run(checks[process]())
    print(f"{process}: {'well' if well else 'not well'}", file=sys.stderr)
    raise typer.Exit(0 if well else 1)
