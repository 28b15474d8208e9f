"""How other commands find a stack that was left running, or the data of one that was kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CONNECTION_FILE = "connection.json"


class NoStackError(Exception):
    """There is no stack in this directory. The message says how to start one."""


@dataclass(frozen=True)
class Connection:
    """The settings of a stack's processes, and its ports by name."""

    env: dict[str, str]
    ports: dict[str, int]


def running_stack(state_dir: Path) -> Connection:
    """Read what a stack wrote when it started. Raises NoStackError."""
    path = state_dir / CONNECTION_FILE
    try:
        content = json.loads(path.read_text())
    except OSError:
        raise NoStackError(f"no stack was started in {state_dir}: run `./run up`, or name its directory") from None
    return Connection(env=content["env"], ports=content["ports"])
