"""How a test speaks to a journey, and how it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateHandle
from temporalio.exceptions import ApplicationError

from domain.envelope import Actor, CommandEnvelope, Role
from domain.journey import Command
from tests.domain.kit import ACTORS
from workflows.contracts import CommandAnswer

PATIENCE_SECONDS = 20


async def eventually(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait for a condition; TimeoutError when it does not come true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            await asyncio.sleep(0.02)


def ask(command: Command, by: Role | Actor | None = None, *, command_id: UUID | None = None) -> CommandEnvelope:
    """A command as the API sends it: by the only role that may, unless said otherwise."""
    if by is None:
        (by,) = command.roles
    return CommandEnvelope(
        command_id=command_id or uuid4(),
        name=command.name,
        actor=by if isinstance(by, Actor) else ACTORS[by],
        body=command.model_dump(mode="json"),
    )


async def code_of(update: WorkflowUpdateHandle[CommandAnswer]) -> str | None:
    """The code that a command was refused with, None when it was accepted."""
    try:
        await update.result()
    except WorkflowUpdateFailedError as failed:
        return refusal_code(failed)
    return None


def refusal_code(failed: WorkflowUpdateFailedError) -> str | None:
    """The code of a refusal."""
    assert isinstance(failed.cause, ApplicationError)
    return failed.cause.type
