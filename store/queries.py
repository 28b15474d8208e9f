"""SQL lives in ``.sql`` files: ``-- name --`` opens a statement, and it ends where the next one opens.

The texts are typed ``LiteralString``, so a statement built by formatting cannot be executed by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString, cast

_HEADER = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)
_FOLDER = Path(__file__).parent / "sql"


def load(name: str) -> Mapping[str, LiteralString]:
    """Read the statements of ``sql/<name>.sql`` by their names."""
    _, *parts = _HEADER.split((_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))
    return dict(zip(parts[::2], cast("list[LiteralString]", parts[1::2]), strict=True))
