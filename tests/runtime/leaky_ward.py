"""A workflow that imports what no workflow may: a module that is neither passed through nor its own."""

from __future__ import annotations

from temporalio import workflow

from tests.runtime.keyring import MemoryKeys


@workflow.defn(name="LeakyWard")
class LeakyWardWorkflow:
    """Would run perfectly well, and 0.2 s late, for years."""

    @workflow.run
    async def run(self) -> str:
        return MemoryKeys.__name__
