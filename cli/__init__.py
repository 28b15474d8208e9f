"""The ``alliance`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command and leave at once.

    A process that used a Temporal client may crash while the interpreter winds down (temporalio/sdk-python#300), and
    an auditor's exit code matters: so everything is flushed, and nothing is wound down.
    """
    from cli.app import run  # noqa: PLC0415  --help must not wait for what it does not need

    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
