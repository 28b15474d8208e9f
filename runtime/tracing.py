"""Carries W3C trace context from whoever sends a command to the activities that it starts.

Own and small, because the SDK's OpenTelemetry interceptor also hands the context to the workflow's main coroutine and
through continue-as-new, which would put a year of care into the trace of the referral. Here a workflow only passes
on, unread, what the update or signal being handled brought along, so replay needs no tracer; what the journey does
by itself later starts a trace of its own. The header is the one that the SDK's interceptors use.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import structlog
from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio import activity, client, worker
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.workflow import ActivityHandle, ChildWorkflowHandle

from runtime.names import journey_id_of
from runtime.telemetry import span

HEADER: Final = "_tracer-data"
_W3C: Final = TraceContextTextMapPropagator()
_handled: ContextVar[Payload | None] = ContextVar("handled_trace", default=None)

Headers = Mapping[str, Payload]


def _with_current_span(headers: Headers) -> Headers:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return {**headers, HEADER: PayloadConverter.default.to_payload(carrier)} if carrier else headers


def _with_handled(headers: Headers) -> Headers:
    payload = _handled.get()
    return headers if payload is None else {**headers, HEADER: payload}


class TraceInterceptor(client.Interceptor, worker.Interceptor):
    """Client to handler to activity. Given once, in the plugin; workers and replayers take it from there."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002
        return _ClientOutbound(next)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002
        return _ActivityInbound(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[worker.WorkflowInboundInterceptor]:
        del input
        return _WorkflowInbound


class _ClientOutbound(client.OutboundInterceptor):
    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:  # noqa: A002
        input.headers = _with_current_span(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: client.StartWorkflowUpdateInput) -> client.WorkflowUpdateHandle[Any]:  # noqa: A002
        input.headers = _with_current_span(input.headers)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self,
        input: client.StartWorkflowUpdateWithStartInput,  # noqa: A002
    ) -> client.WorkflowUpdateHandle[Any]:
        update = input.update_workflow_input
        update.headers = _with_current_span(update.headers)
        return await super().start_update_with_start_workflow(input)


class _WorkflowInbound(worker.WorkflowInboundInterceptor):
    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound))

    # Each handler runs in a task of its own, so what is set here ends with it and reaches whatever it spawns. Nobody
    # gives a journey's own run a header; an escalation's is given the one of the command that raised the alarm.
    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002
        _handled.set(input.headers.get(HEADER))
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        _handled.set(input.headers.get(HEADER))
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:  # noqa: A002
        _handled.set(input.headers.get(HEADER))
        return await super().handle_update_handler(input)


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def start_activity(self, input: worker.StartActivityInput) -> ActivityHandle[Any]:  # noqa: A002
        input.headers = _with_handled(input.headers)
        return super().start_activity(input)

    async def start_child_workflow(self, input: worker.StartChildWorkflowInput) -> ChildWorkflowHandle[Any, Any]:  # noqa: A002
        input.headers = _with_handled(input.headers)
        return await super().start_child_workflow(input)


class _ActivityInbound(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002
        """Run the attempt in a span under the command's trace, with the journey bound to every log line."""
        payload = input.headers.get(HEADER)
        carrier = PayloadConverter.default.from_payload(payload, dict) if payload else {}
        info = activity.info()
        journey_id = journey_id_of(info.workflow_id or "")
        ids: dict[str, Any] = {"attempt": info.attempt} | ({"journey_id": journey_id} if journey_id else {})
        token = otel_context.attach(_W3C.extract(carrier, otel_context.Context()))
        try:
            with (
                structlog.contextvars.bound_contextvars(activity=info.activity_type, **ids),
                span(info.activity_type, SpanKind.CONSUMER, **ids),
            ):
                return await super().execute_activity(input)
        finally:
            otel_context.detach(token)
