"""The goldens on disk, as histories."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from runtime.names import journey_id_of

GOLDEN = Path(__file__).with_name("golden")


@dataclass(frozen=True)
class Golden:
    """One scenario as one build ran it: its runs in order, still sealed."""

    name: str
    namespace: str
    journey_id: UUID
    sdk_version: str
    runs: tuple[WorkflowHistory, ...]


def goldens() -> list[Golden]:
    """Every golden of every build. Raises ValueError when one is not the one that was made."""
    return [_read(meta) for meta in sorted(GOLDEN.glob("*/*.json"))]


def _read(path: Path) -> Golden:
    meta = json.loads(path.read_text(encoding="utf-8"))
    journey_id = journey_id_of(meta["workflow_id"])
    assert journey_id is not None
    runs = []
    for run in meta["runs"]:
        encoded = (path.parent / run["file"]).read_bytes()
        if hashlib.sha256(encoded).hexdigest() != run["sha256"]:
            raise ValueError(f"golden {run['file']} is not the history that was kept: restore it, never edit it")
        runs.append(WorkflowHistory(meta["workflow_id"], list(History.FromString(encoded).events)))
    name = f"{meta['build_id']}/{meta['scenario']}"
    return Golden(name, meta["namespace"], journey_id, meta["sdk_version"], tuple(runs))
