"""What a process pays before its first workflow task: the module graph of ``workflows.journey``.

Each sample is a fresh interpreter with warm byte code. Beside it stands the import of the two libraries that the graph
rests on, which nothing of ours can make quicker. Both in processor time.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

from benchmarks.measure import Contestant, Figure, alternate, duration, ratio

ROUNDS = 5
_TIMED = "from time import process_time as c; s = c(); import {modules}; print(c() - s)"


async def figures() -> list[Figure]:
    """Measure both imports in turn."""
    ours, libraries = "workflows.journey", "temporalio.workflow, pydantic"
    samples = await alternate({"ours": _import(ours), "libraries": _import(libraries)}, ROUNDS)
    return [
        duration(f"import {ours}", "ms", samples["ours"]),
        duration(f"import {libraries}", "ms", samples["libraries"]),
        ratio("speed of the whole import / of the libraries alone", samples, "ours", "libraries"),
    ]


def _import(modules: str) -> Contestant:
    argv = [sys.executable, "-c", _TIMED.format(modules=modules)]

    async def sample() -> float:
        process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
        out, _ = await process.communicate()
        return 1 / float(out)

    return sample
