"""The one way to Temporal: its connection and the one plugin that client, worker and replayer share (D14).

What the plugin holds, a payload codec per patient above all, must be the same wherever a history is written or read;
so nobody configures a client, worker or replayer by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig
from temporalio.plugin import SimplePlugin
from temporalio.service import RPCError
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from runtime.settings import Settings
from runtime.telemetry import temporal_runtime
from runtime.tracing import TraceInterceptor
from vault.codec import JourneyCodec
from vault.keys import KeySource

DEFAULT_ADDRESS: Final = "localhost:7233"

PASSED_THROUGH: Final = ("domain", "vault", "runtime", "structlog", "opentelemetry", "holidays", "tzdata", "dateutil")
"""Modules that the sandbox shares instead of loading again for each run, which costs 0.2 s per journey.

A workflow module may import these and the standard library. Anything else makes the worker refuse to start, so a
heavy or impure import is noticed the day it is written; helpers beside a workflow are imported under
``workflow.unsafe.imports_passed_through()``. (The SDK does not see ``from own_package import module``: write
``from own_package.module import name``.)
"""


class TemporalUnavailableError(Exception):
    """Temporal cannot be reached or does not let us in. The message says which server and what to check."""


def data_converter(keys: KeySource) -> DataConverter:
    """Write JSON, sealed under the key of the journey it belongs to; failures' messages and traces as well."""
    return replace(
        pydantic_data_converter,
        payload_codec=JourneyCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def sandboxed_runner() -> SandboxedWorkflowRunner:
    """Workflow code in the SDK's sandbox, with imports as PASSED_THROUGH allows."""
    policy = (
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions.with_import_notification_policy(policy))


def alliance_plugin(
    *,
    keys: KeySource,
    workflows: Sequence[type] = (),
    activities: Sequence[Callable[..., Any]] = (),
    runner: WorkflowRunner | None = None,
) -> SimplePlugin:
    """Everything that must not differ between live and replay, as one object.

    ``connect`` gives it to the client, and so to the workers made from it; a ``Replayer`` gets one with ``workflows``.
    ``runner`` is for audits, which replay thousands of histories outside the sandbox.
    """
    return SimplePlugin(
        "alliance",
        data_converter=data_converter(keys),
        interceptors=[TraceInterceptor()],
        workflows=list(workflows),
        activities=list(activities),
        workflow_runner=runner or sandboxed_runner(),
    )


async def connect(settings: Settings, keys: KeySource, *, connect_timeout: timedelta = timedelta(seconds=10)) -> Client:
    """Connect as ``TEMPORAL_*`` and ``temporal.toml`` say, with the plugin. Default localhost:7233.

    A Worker made from this client has the plugin too; give it its own workflows and activities, and no plugin.

    Raises:
        TemporalUnavailableError: no server answers there within ``connect_timeout``, or it refuses our credentials.

    """
    config = ClientConfig.load_client_connect_config()
    address = config.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        return await Client.connect(
            **config,
            plugins=[alliance_plugin(keys=keys)],
            runtime=temporal_runtime(settings.metrics_bind),
            connect_timeout=connect_timeout,
        )
    except (RuntimeError, RPCError) as error:
        raise TemporalUnavailableError(
            f"Temporal at {address} (namespace {config.get('namespace', 'default')}) cannot be reached: check that it "
            "runs and that TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS_* are those of this server."
        ) from error
