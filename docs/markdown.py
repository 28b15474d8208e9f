"""Pydantic models as Markdown: a table of fields for each, and the shapes they share once at the end of a page."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def sentence(model: type[BaseModel]) -> str:
    """Give what a class says of itself, as one paragraph."""
    return " ".join(inspect.cleandoc(model.__doc__ or "").replace("``", "`").split())


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Lay out a table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class Shapes:
    """The nested models that a page has mentioned."""

    def __init__(self) -> None:
        self._found: dict[str, Schema] = {}

    def add(self, definitions: dict[str, Schema]) -> None:
        """Remember the definitions of one schema."""
        self._found |= definitions

    def section(self) -> str:
        """Describe each of them once; a value with no fields by what it may be."""
        parts = ["## Shapes"]
        for name, schema in sorted(self._found.items()):
            described = " ".join(schema.get("description", "").replace("``", "`").split())
            body = _fields(schema) if "properties" in schema else kind(schema)
            parts.append("\n\n".join(part for part in (f"### {name}", described, body) if part))
        return "\n\n".join(parts)


def fields_of(model: type[BaseModel], shapes: Shapes) -> str:
    """Give a table of a model's fields, or say that it has none."""
    schema = model.model_json_schema()
    shapes.add(schema.get("$defs", {}))
    return _fields(schema) if schema.get("properties") else "No fields."


def _fields(schema: Schema) -> str:
    required = set(schema.get("required", ()))
    rows = [
        [f"`{name}`", kind(field), "yes" if name in required else "", field.get("description", "").replace("``", "`")]
        for name, field in schema["properties"].items()
    ]
    return table(["field", "type", "required", "meaning"], rows)


def kind(schema: Schema) -> str:
    """Say what a value may be, in a few words."""
    match schema:
        case {"$ref": ref}:
            name = str(ref).rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"anyOf": choices} | {"oneOf": choices} | {"allOf": choices}:
            return " or ".join(kind(choice) for choice in choices if choice != {"type": "null"})
        case {"type": "array", "items": dict(items)}:
            return f"list of {kind(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map of {kind(values)}"
        case _:
            return _plain(schema)


def _plain(schema: Schema) -> str:
    name = str(schema.get("format") or schema.get("type", "any value"))
    limits = [
        f"{sign} {schema[key]}"
        for key, sign in (
            *(("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")),
            *(("minLength", "length ≥"), ("maxLength", "length ≤")),
        )
        if key in schema
    ]
    return f"{name} ({', '.join(limits)})" if limits else name
