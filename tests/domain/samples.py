"""A well-formed body for every message, made from its JSON schema: also for those that no story happens to send."""

from __future__ import annotations

from typing import Any

from domain.journey import EVENTS, MESSAGES
from domain.journey.messages import Command, Event

ALL: dict[str, type[Command | Event]] = {**MESSAGES, **EVENTS}
"""Every command, fact and event by its name."""

FORMATS = {
    "uuid": "019b2d00-0000-7000-8000-000000000001",
    "date": "2026-01-05",
    "date-time": "2026-01-05T15:00:00Z",
}
PATTERNS = {
    r"^[A-Z]{2}$": "NY",
    r"^[0-9]{10}$": "1234567893",
    r"^[A-Z]{2}[0-9]{7}$": "FP1234563",
    r"^[0-9a-f]{64}$": "a" * 64,
    r"^[0-9]{5}(-[0-9]{4})?$": "10001",
    r"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?$": "F33.1",
}
ZONES = {"time_zone": "America/New_York"}
"""Text that must be more than text, by field."""


def body(name: str) -> dict[str, Any]:
    """Every field of this message, filled in."""
    schema = ALL[name].model_json_schema()
    filled = _sample(schema, schema.get("$defs", {}))
    assert isinstance(filled, dict)
    return filled


def _sample(schema: dict[str, Any], defs: dict[str, Any], field: str = "") -> Any:
    if "$ref" in schema:
        return _sample(defs[schema["$ref"].rpartition("/")[2]], defs, field)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _sample(options[0], defs, field)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: _sample(one, defs, name) for name, one in fields.items()}
        case "array":
            return [_sample(schema.get("items") or schema["prefixItems"][0], defs, field)]
        case "integer" | "number" as kind:
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            step = 1 if kind == "integer" else 0.5
            return least + step * ("exclusiveMinimum" in schema)
        case "boolean":
            return True
        case _:
            known = ZONES.get(field), FORMATS.get(schema.get("format", "")), PATTERNS.get(schema.get("pattern", ""))
            return next((text for text in known if text), "text")
