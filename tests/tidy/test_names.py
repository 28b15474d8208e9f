"""Names that others hold on to: commands, events, codes, and what is logged."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from domain.codes import Code
from domain.journey import COMMANDS, EVENTS
from runtime.logs import FIELDS
from runtime.telemetry import SPAN_ATTRIBUTES
from tests.tidy.tree import python, tree

OURS = ("domain", "vault", "store", "runtime", "activities", "workflows", "audit", "worker", "api", "cli", "stack")
LOGGERS = {"log", "_log", "logger", "_logger"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ABOUT_THE_ERROR = {"exc_info", "error", "frames"}


def snake(name: str) -> str:
    """Spell a class's name as a message's."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    """Give every call that writes a log line, with its place."""
    for name in python(*OURS):
        for node in ast.walk(tree(name)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in LOGGERS
                and node.func.attr in LEVELS
            ):
                yield f"{name}:{node.lineno}", node


def choices(node: ast.expr) -> list[ast.expr]:
    """Give what a conditional expression may come to."""
    return [*choices(node.body), *choices(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def is_event_name(node: ast.expr) -> bool:
    """Whether this is a constant that can name a log line."""
    return isinstance(node, ast.Constant) and re.fullmatch(r"[a-z][a-z0-9_]{2,80}", str(node.value)) is not None


def test_a_command_is_named_as_its_class() -> None:
    """A command's update, route and class have one name."""
    assert list(COMMANDS) == [snake(command.__name__) for command in COMMANDS.values()]


def test_a_stored_type_is_its_class_and_a_version() -> None:
    """An event is stored under the name of its class, in snake case, with the version of its shape."""
    for stored, event in EVENTS.items():
        assert re.fullmatch(rf"{snake(event.__name__)}\.v[1-9][0-9]*", stored)


def test_a_code_is_spelt_as_it_is_named() -> None:
    """A refusal's code is the same word in the code, in HTTP and in the specification."""
    assert [code.name for code in Code] == [code.value for code in Code]


def test_a_log_line_is_a_constant_and_allowed_fields() -> None:
    """No message is put together from data, and no field is written that the allow-list would drop (I6)."""
    faults = []
    for place, call in log_calls():
        if not all(map(is_event_name, choices(call.args[0]))):
            faults.append(f"{place}: name what happened by a constant in snake case")
        unknown = {word.arg for word in call.keywords if word.arg} - FIELDS - ABOUT_THE_ERROR
        faults += [f"{place}: {field} is not among runtime.logs.FIELDS" for field in sorted(unknown)]

    assert [] == faults


def test_a_span_has_allowed_attributes_only() -> None:
    """Attributes that are set on a span by name are on the list, also where no test goes (I6)."""
    faults = []
    for name in python(*OURS):
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr == "set_attribute" and isinstance(first, ast.Constant):
                    faults += [f"{name}:{node.lineno}"] if first.value not in SPAN_ATTRIBUTES else []
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "span":
                given = {word.arg for word in node.keywords if word.arg} - {"kind"}
                faults += [f"{name}:{node.lineno}"] if given - SPAN_ATTRIBUTES else []

    assert [] == faults
