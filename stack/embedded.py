"""The whole of Alliance on one machine: real servers, each in its own process, wired by settings alone (D14, §2).

Nothing here is special to Alliance's code: the same processes run against real clusters with other settings.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg import AsyncConnection, sql
from temporalio.client import Client

from outside import ehr, identity
from runtime.health import is_polled
from runtime.names import EFFECTS, ESCALATIONS, JOURNEYS, SEARCH_ATTRIBUTE_KINDS
from runtime.settings import PREFIX
from stack.connection import CONNECTION_FILE
from stack.people import cast
from stack.postgres import PostgresServer
from stack.processes import Probe, Supervisor, free_ports
from stack.temporal_server import TemporalOptions, TemporalServer
from store.migrate import migrate
from vault.kek import LocalFileKek

HOST = "127.0.0.1"
LOG_DATABASE = "alliance_log"
KEYS_DATABASE = "alliance_keys"
RUNTIME_USER = "alliance_runtime"
AUDIENCE = "alliance"
PORTS = (
    "simulators",
    "smtp",
    "ehr",
    "identity",
    "api",
    "temporal",
    "temporal_ui",
    "worker_metrics",
    "escalations_metrics",
)


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """``simulated`` allows shifted clocks and the embedded signer; ``ports`` fixes some, the others are free ones."""

    state_dir: Path
    simulated: bool = True
    persist_temporal: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)
    max_cached_workflows: int = 1000


class EmbeddedStack:
    """PostgreSQL, Temporal, the outside world, both workers and the API. ``async with`` it."""

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self.supervisor = Supervisor(options.state_dir)
        self.ports: dict[str, int] = {}
        self.env: dict[str, str] = {}
        self.postgres = PostgresServer(options.state_dir)
        self.temporal: TemporalServer | None = None
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        await self.supervisor.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self.supervisor.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.supervisor.stop()

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.ports['api']}"

    @property
    def temporal_ui_url(self) -> str:
        return f"http://{HOST}:{self.ports['temporal_ui']}"

    async def _start(self) -> None:
        """Servers first, then the schema, then us; whatever does not wait for something else starts beside it."""
        self.ports = self._choose_ports()
        outside = asyncio.gather(self._start_simulators(), self._start_ehr(), self._start_identity())
        await asyncio.gather(self._start_postgres(), self._start_temporal())
        self.env = self._environment()
        self._write_connection_file()
        ours = asyncio.gather(self._start_worker(), self._start_escalations(), self._start_api())
        await asyncio.gather(outside, ours)

    def _choose_ports(self) -> dict[str, int]:
        free = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        return {**free, **self._options.ports}

    # --- servers ----------------------------------------------------------------------------------------------

    async def _start_postgres(self) -> None:
        await self.supervisor.serve(self.postgres)
        async with await AsyncConnection.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            rows = await (await connection.execute("SELECT datname FROM pg_database")).fetchall()
            for name in {LOG_DATABASE, KEYS_DATABASE} - {row[0] for row in rows}:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            await migrate(self.postgres.url(LOG_DATABASE), "log")
            await migrate(self.postgres.url(KEYS_DATABASE), "keys")
            known = await (
                await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [RUNTIME_USER])
            ).fetchone()
            if known is None:
                await connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN IN ROLE alliance_app").format(sql.Identifier(RUNTIME_USER))
                )

    async def _start_temporal(self) -> None:
        options = TemporalOptions(
            search_attributes=SEARCH_ATTRIBUTE_KINDS,
            time_skipping=self._options.simulated,
            codec_endpoint=f"{self.api_url}/codec",
            port=self.ports["temporal"],
            ui_port=self.ports["temporal_ui"],
        )
        self.temporal = TemporalServer(self._options.state_dir if self._options.persist_temporal else None, options)
        await self.supervisor.serve(self.temporal)

    async def _start_simulators(self) -> None:
        secret = self._secret("pharmacy_webhook_secret")
        url = f"http://{HOST}:{self.ports['simulators']}"
        argv = [sys.executable, "-m", "outside", "simulators"]
        argv += ["--port", str(self.ports["simulators"]), "--smtp-port", str(self.ports["smtp"])]
        argv += ["--webhook-url", f"{self.api_url}/webhooks/pharmacy", "--webhook-secret-file", str(secret)]
        await self.supervisor.start("outside", argv, ready=f"{url}/healthz", timeout_seconds=60)

    async def _start_ehr(self) -> None:
        argv, env = ehr.ehr_command(self._options.state_dir / "ehr", self.ports["ehr"])
        await self.supervisor.start(
            "ehr", argv, env=env, ready=ehr.ehr_ready_url(self.ports["ehr"]), timeout_seconds=60
        )

    async def _start_identity(self) -> None:
        port = self.ports["identity"]
        argv, env = identity.identity_command(self._options.state_dir / "identity", port, AUDIENCE, cast())
        await self.supervisor.start(
            "identity", argv, env=env, ready=identity.identity_ready_url(port), timeout_seconds=60
        )

    # --- ours -------------------------------------------------------------------------------------------------

    async def _start_worker(self) -> None:
        ready = lambda: self._polled(JOURNEYS, EFFECTS)  # noqa: E731  a probe
        await self._start_ours("worker", ["worker"], ready, self._metrics("worker_metrics"))

    async def _start_escalations(self) -> None:
        ready = lambda: self._polled(ESCALATIONS)  # noqa: E731  a probe
        await self._start_ours("escalations", ["escalation-worker"], ready, self._metrics("escalations_metrics"))

    async def _start_api(self) -> None:
        argv = ["api", "--host", HOST, "--port", str(self.ports["api"])]
        await self._start_ours("api", argv, f"{self.api_url}/healthz")

    async def _start_ours(
        self, name: str, argv: list[str], ready: Probe | str, more: Mapping[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "cli", *argv]
        env = {**self.env, **(more or {})}
        await self.supervisor.start(name, command, env=env, ready=ready, timeout_seconds=60)

    def _metrics(self, port: str) -> dict[str, str]:
        """Where a worker serves its metrics and the SDK's."""
        return {f"{PREFIX}METRICS_BIND": f"{HOST}:{self.ports[port]}"}

    async def _polled(self, *queues: str) -> bool:
        """Whether a worker polls each of these queues."""
        assert self.temporal is not None
        if self._client is None:
            self._client = await Client.connect(self.temporal.target, namespace=self.temporal.namespace)
        return all([await is_polled(self._client, queue) for queue in queues])

    # --- settings ---------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        assert self.temporal is not None
        state, ports = self._options.state_dir, self.ports
        simulators = f"http://{HOST}:{ports['simulators']}"
        kek = state / "kek.json"
        LocalFileKek.open(kek, create=True)
        ours = {
            "log_database_url": self.postgres.url(LOG_DATABASE, RUNTIME_USER),
            "log_owner_database_url": self.postgres.url(LOG_DATABASE),
            "keys_database_url": self.postgres.url(KEYS_DATABASE, RUNTIME_USER),
            "keys_owner_database_url": self.postgres.url(KEYS_DATABASE),
            "kek_file": str(kek),
            "simulated": "true" if self._options.simulated else "false",
            "oidc_issuer": identity.issuer(ports["identity"]),
            "oidc_audience": AUDIENCE,
            "ehr_url": ehr.ehr_base_url(ports["ehr"]),
            "pharmacy_url": f"{simulators}/pharmacy",
            "pharmacy_webhook_secret_file": str(self._secret("pharmacy_webhook_secret")),
            "pdmp_url": f"{simulators}/pdmp",
            "smtp_url": f"smtp://{HOST}:{ports['smtp']}",
            "mail_from": "no-reply@alliance.example",
            "portal_url": "https://portal.alliance.example",
            "mail_status_url": f"{simulators}/mail",
            "inbox_folder": str(state / "inbox"),
            "pager_url": f"{simulators}/pager",
            "codec_allowed_origins": json.dumps([self.temporal_ui_url]),
            "max_cached_workflows": str(self._options.max_cached_workflows),
        }
        temporal = {"TEMPORAL_ADDRESS": self.temporal.target, "TEMPORAL_NAMESPACE": self.temporal.namespace}
        return {**{f"{PREFIX}{name.upper()}": value for name, value in ours.items()}, **temporal}

    def _secret(self, name: str) -> Path:
        """A random secret in its own file, drawn once per state directory."""
        path = self._options.state_dir / name
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        return path

    def _write_connection_file(self) -> None:
        """Leave the settings where other commands find a stack that runs: ``connection.json``, for its owner alone."""
        path = self._options.state_dir / CONNECTION_FILE
        content = json.dumps({"env": self.env, "ports": self.ports}, indent=1)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
