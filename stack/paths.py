"""Where the embedded stack keeps things: one state directory, and short private ones for what ends with a run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
_SOCKET_PATH_MAX = 107
_LONGEST_SOCKET_NAME = ".s.PGSQL.65535.lock"


def state_dir() -> Path:
    """Find ``ALLIANCE_STATE_DIR``, else ``.alliance/`` in the checkout; absolute, created when missing, mode 0700."""
    path = Path(os.environ.get("ALLIANCE_STATE_DIR") or CHECKOUT / ".alliance").absolute()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def scratch_dir(prefix: str) -> Path:
    """Make a temporary directory of mode 0700 in which a unix socket's path stays within the kernel's 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    if len(os.fsencode(path / _LONGEST_SOCKET_NAME)) <= _SOCKET_PATH_MAX:
        return path
    path.rmdir()
    # A temporary directory with a long name (TMPDIR) cannot hold sockets; every Unix has this short one.
    return Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
