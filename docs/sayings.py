"""What each code says to whoever is refused: read from the source, so that the reference cannot say anything else.

A code stands beside its sentence wherever it is used: ``refuse(Code.X, "…")``, ``ProblemError(409, "X", "…")``,
``unavailable("…", "X")``. The gates keep theirs in the function that the code is paired with.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from api.problems import _HTTP
from api.submitting import _STATUS
from domain.codes import Code
from domain.journey.gates import GATES, _hold
from domain.journey.holds import CODES

ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = ("domain", "workflows", "api")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{3,}")
_NOWHERE: dict[str, str] = {}
"""Outside functions a name is no sentence."""


def sentences() -> dict[str, list[str]]:
    """Give for each code the sentences it comes with, in the source's order; ``…`` stands for what is filled in."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for code, sentence in _in_module(ast.parse(path.read_text("utf-8"))):
                found[code][sentence] = None
    for gate_code, gate in GATES:
        for sentence in _returned(inspect.getsource(gate)):
            found[gate_code][sentence] = None
    for hold_code in CODES.values():
        for sentence in _returned(inspect.getsource(_hold)):
            found[hold_code][sentence] = None
    return {code: _distinct(said) for code, said in found.items()}


def statuses() -> dict[str, int]:
    """Give the HTTP status of each code: a refusal's is 409 unless the API says otherwise."""
    found = {code: status for status, (code, _) in _HTTP.items()} | {"UNAVAILABLE": 503}
    found |= {code.value: _STATUS.get(code, 409) for code in Code}
    for path in sorted((ROOT / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            codes = [code for argument in node.args if (code := _code(argument))]
            if node.func.id == "ProblemError" and codes and isinstance(status := node.args[0], ast.Constant):
                found.setdefault(codes[0], int(str(status.value)))
            if node.func.id == "unavailable" and codes:
                found.setdefault(codes[0], 503)
    return found


def _distinct(said: Iterable[str]) -> list[str]:
    """One of each sentence; the API repeats some of the domain's with a capital and a full stop."""
    known = {sentence.casefold().rstrip("."): sentence for sentence in reversed(list(said))}
    filled_in = "…"
    return [sentence for sentence in reversed(known.values()) if sentence != filled_in or len(known) == 1]


def _in_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            texts = _texts_by_name(scope)
            for node in ast.walk(scope):
                yield from _pairs(node, texts)
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            for node in ast.walk(statement.value):
                yield from _pairs(node, _NOWHERE)


def _pairs(node: ast.AST, texts: dict[str, str]) -> Iterator[tuple[str, str]]:
    """A code and the sentence on either side of it."""
    elements = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    for left, right in pairwise(elements):
        for one, other in ((left, right), (right, left)):
            if (code := _code(one)) and (sentence := _text(other, texts)):
                yield code, sentence


def _code(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
        return node.attr
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        return node.value
    return None


def _text(node: ast.expr, texts: dict[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return None if _CODE.fullmatch(node.value) else node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Name):
        return texts.get(node.id, "…" if texts is not _NOWHERE else None)
    return "…" if isinstance(node, ast.Call) else None  # the message of another error


def _texts_by_name(scope: ast.AST) -> dict[str, str]:
    assigned = (node for node in ast.walk(scope) if isinstance(node, ast.Assign))
    pairs = ((node.targets[0], _text(node.value, _NOWHERE)) for node in assigned)
    return {name.id: text for name, text in pairs if isinstance(name, ast.Name) and text}


def _returned(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.Return) and node.value is not None:
            choices = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
            yield from filter(None, (_text(choice, _NOWHERE) for choice in choices))
