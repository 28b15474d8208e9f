"""Which fields of the commands can hold what a person wrote or is: found in the models, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from domain.journey import COMMANDS

CODES = frozenset(
    {
        "code",
        "criterion",
        "diagnosis_icd10",
        "instrument",
        "key",
        "lot",
        "meaning",
        "protocol",
        "scope",
        "sex",
        "state",
        "subject",
        "telemedicine_basis",
        "time_zone",
        "version",
        "yes_no",
    }
)
"""Text fields that hold a code, an id or a fixed phrase. Everything else that is text is planted with marks."""


def text_fields() -> frozenset[str]:
    """Names of all free-text and identifying fields of all commands a person may send."""
    return frozenset(name for model in COMMANDS.values() for name in _texts(model)) - CODES


def _texts(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        patterned = any(getattr(item, "pattern", None) for item in field.metadata)
        for kind in _kinds(field.annotation):
            if kind is str and not patterned:
                yield name
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _texts(kind)


def _kinds(annotation: Any) -> Iterator[Any]:
    parts = get_args(annotation)
    if any(getattr(part, "pattern", None) for part in parts):
        return  # a code, wherever it stands
    yield annotation
    for part in parts:
        yield from _kinds(part)


class Planter:
    """Replaces what stands in such fields by marks, and remembers them."""

    def __init__(self) -> None:
        self.fields = text_fields()
        self.planted: set[str] = set()

    def mark(self, value: Any, name: str = "") -> Any:
        """The same body, with marks. An address keeps its form, so that it can be mailed to."""
        if isinstance(value, dict):
            return {key: self.mark(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mark(item, name) for item in value]
        if not isinstance(value, str) or name not in self.fields:
            return value
        self.planted.add(name)
        return f"zqmark.{name}@zqmark.example" if name == "email" else f"zqmark {name} {value}"[:190]
