"""The files under version control, which are the only ones these rules are about."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[str, ...]:
    """Give every tracked file that is still there, by its path from the root."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    return tuple(sorted(name for name in listed if (ROOT / name).is_file()))


def python(*folders: str) -> list[str]:
    """Give the Python files, of some folders only when any are named."""
    return [name for name in files() if name.endswith(".py") and (not folders or name.split("/", 1)[0] in folders)]


@cache
def texts() -> dict[str, str]:
    """Give every tracked file that is text."""
    found = {}
    for name in files():
        try:
            found[name] = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


@cache
def tree(name: str) -> ast.Module:
    """Give a Python file, parsed."""
    return ast.parse((ROOT / name).read_text("utf-8"), name)


def functions(name: str) -> Iterator[Function]:
    """Give every function of a file, those inside classes and other functions too."""
    return (node for node in ast.walk(tree(name)) if isinstance(node, Function))


def code_lines(node: Function) -> int:
    """Count a function's lines without its docstring: explaining more must never be what makes it too long."""
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    explained = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - explained
