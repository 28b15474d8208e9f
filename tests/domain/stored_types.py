"""The digest of every stored type's shape, as it was when it was first written to a log (I7).

``python -m tests.domain.stored_types`` adds the types that are new to ``stored_types.json``. It never changes or drops
an entry: a log somewhere holds events of that shape. A type whose shape must change gets a new version and an upcast.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from domain.journey import EVENTS
from domain.journey.messages import Event

FILE = Path(__file__).with_suffix(".json")
PROSE = {"description", "title", "examples"}


def shape(schema: Any) -> Any:
    """A JSON schema without its prose: what may be said changes, what may be stored does not."""
    if isinstance(schema, dict):
        return {
            key: {name: shape(one) for name, one in value.items()} if key in {"properties", "$defs"} else shape(value)
            for key, value in schema.items()
            if key not in PROSE
        }
    return [shape(one) for one in schema] if isinstance(schema, list) else schema


def digest(event: type[Event]) -> str:
    """SHA-256 of the shape and of the wall the type stands behind."""
    form = {"schema": shape(event.model_json_schema()), "sensitivity": event.sensitivity}
    return sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()


def read() -> dict[str, str]:
    """The digests as they are on file."""
    stored: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return stored


def add_new_types() -> list[str]:
    """Write the types that the file does not know yet; returns them."""
    stored = read()
    new = {name: digest(event) for name, event in EVENTS.items() if name not in stored}
    FILE.write_text(json.dumps(stored | new, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return sorted(new)


if __name__ == "__main__":
    print("\n".join(add_new_types()) or "no new types")  # noqa: T201  a command answers
