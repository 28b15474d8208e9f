"""What R4 says of the resources we write, checked against its own definitions.

The EHR of the tests checks cardinality and unknown elements, but no codes: there a gender of "potato" is fine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_DEFINITIONS: Final = json.loads(Path(__file__).with_name("fhir_r4.json").read_text(encoding="utf-8"))
_TYPES: Final[dict[str, dict[str, Any]]] = _DEFINITIONS["types"]
_VALUE_SETS: Final[dict[str, list[str]]] = _DEFINITIONS["value_sets"]


def faults(resource: dict[str, Any]) -> list[str]:
    """Name each unknown element, code outside its required value set, and reference to a type that is not allowed."""
    kind = resource["resourceType"]
    content = {name: value for name, value in resource.items() if name != "resourceType"}
    return list(_faults_of(kind, "", content, kind))


def _faults_of(kind: str, path: str, content: dict[str, Any], where: str) -> Iterator[str]:
    for name, value in content.items():
        here = f"{where}.{name}"
        found = _element(kind, f"{path}.{name}" if path else name)
        if found is None:
            yield f"{here}: unknown element"
            continue
        element, its_type, its_path = found
        for item in value if isinstance(value, list) else [value]:
            if "value_set" in element and item not in _VALUE_SETS.get(element["value_set"], [item]):
                yield f"{here}: {item} is not in {element['value_set']}"
            if "targets" in element and not _may_point_to(element["targets"], item):
                yield f"{here}: may not refer to {item['reference']}"
            if isinstance(item, dict):
                inside = (kind, its_path) if its_type in {"BackboneElement", "Element"} else (its_type, "")
                yield from _faults_of(*inside, item, here)


def _element(kind: str, path: str) -> tuple[dict[str, Any], str, str] | None:
    """An element's definition, its type, and its path; a choice such as ``medicationCodeableConcept`` is resolved."""
    elements = _TYPES[kind]
    if path in elements:
        element = elements[path]
        types = element.get("types", ["BackboneElement"])
        return element, types[0], element.get("same_as", path)
    for choice, element in elements.items():
        for its_type in element.get("types", ()) if choice.endswith("[x]") else ():
            if path == choice.removesuffix("[x]") + its_type[0].upper() + its_type[1:]:
                return element, its_type, choice
    return None


def _may_point_to(targets: list[str], item: Any) -> bool:
    if not isinstance(item, dict) or "reference" not in item or "Resource" in targets:
        return True
    return item["reference"].split("/")[0] in targets
