"""A stack's ledgers for whoever only reads them: those that run, or those that a stopped stack left behind.

An auditor asks after the fact. When the servers of a state directory are gone, PostgreSQL and Temporal are started
again on its data, for as long as the question takes; nothing else is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.names import SEARCH_ATTRIBUTE_KINDS
from runtime.settings import PREFIX
from stack.connection import running_stack
from stack.embedded import KEYS_DATABASE, LOG_DATABASE, RUNTIME_USER
from stack.postgres import PostgresServer
from stack.processes import Supervisor
from stack.temporal_server import TemporalOptions, TemporalServer


@asynccontextmanager
async def ledgers(state_dir: Path) -> AsyncIterator[dict[str, str]]:
    """The settings that reach a state directory's log, keys and histories. Raises NoStackError."""
    connection = running_stack(state_dir)
    if await _answers(connection.env["TEMPORAL_ADDRESS"]):
        yield connection.env
        return
    async with Supervisor(state_dir) as supervisor:
        postgres = PostgresServer(state_dir)
        temporal = TemporalServer(
            state_dir, TemporalOptions(search_attributes=SEARCH_ATTRIBUTE_KINDS, time_skipping=True)
        )
        await asyncio.gather(supervisor.serve(postgres), supervisor.serve(temporal))
        yield {
            **connection.env,
            f"{PREFIX}LOG_DATABASE_URL": postgres.url(LOG_DATABASE, RUNTIME_USER),
            f"{PREFIX}LOG_OWNER_DATABASE_URL": postgres.url(LOG_DATABASE),
            f"{PREFIX}KEYS_DATABASE_URL": postgres.url(KEYS_DATABASE, RUNTIME_USER),
            f"{PREFIX}KEYS_OWNER_DATABASE_URL": postgres.url(KEYS_DATABASE),
            "TEMPORAL_ADDRESS": temporal.target,
            "TEMPORAL_NAMESPACE": temporal.namespace,
        }


async def _answers(address: str) -> bool:
    """Whether a server listens there."""
    host, port = address.rsplit(":", 1)
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True
