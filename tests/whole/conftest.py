"""One embedded stack for the tests that look at the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack.embedded import EmbeddedStack, StackOptions


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack keeps everything it writes."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="session")
async def stack(state_dir: Path) -> AsyncIterator[EmbeddedStack]:
    """Everything, running."""
    async with EmbeddedStack(StackOptions(state_dir=state_dir)) as running:
        yield running
    await asyncio.sleep(0.3)  # temporalio/sdk-python#300: a client that has just closed may crash the interpreter
