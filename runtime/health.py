"""Whether a process does its work, asked from outside of it: for health checks and for whoever starts one."""

from __future__ import annotations

import asyncio

import httpx2
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from runtime.temporal import DEFAULT_ADDRESS

_TIMEOUT_SECONDS = 4.0


async def queues_are_polled(*queues: str) -> bool:
    """Whether a worker polls each of these queues for activities: the only proof that it works.

    The server is the one that ``TEMPORAL_*`` names.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", DEFAULT_ADDRESS)
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            client = await Client.connect(**config)
            return all([await is_polled(client, queue) for queue in queues])
    except (RPCError, RuntimeError, TimeoutError):
        return False


async def is_polled(client: Client, queue: str) -> bool:
    """Whether a worker polls this queue for activities."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    return bool((await client.workflow_service.describe_task_queue(request)).pollers)


async def api_is_ready(port: int) -> bool:
    """Whether the API on this machine answers that it can reach what it needs."""
    async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/readyz")
        except httpx2.TransportError:
            return False
    return bool(answer.status_code == httpx2.codes.OK)
