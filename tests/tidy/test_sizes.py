"""One room, one file; one screen, one function. What is longer has a reason written down here."""

from __future__ import annotations

from tests.tidy.tree import ROOT, code_lines, functions, python

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

LONGER_FILES: dict[str, str] = {}


def test_a_file_is_one_room() -> None:
    """No Python file is longer than the limit without a reason, and no reason outlives its file's length."""
    longer = {name for name in python() if len((ROOT / name).read_text("utf-8").splitlines()) > FILE_LINES_MAX}

    assert set(LONGER_FILES) == longer


def test_a_function_fits_a_screen() -> None:
    """No function has more lines than the limit, its docstring not counted."""
    longer = {
        f"{name}:{function.name}: {code_lines(function)}"
        for name in python()
        for function in functions(name)
        if code_lines(function) > FUNCTION_LINES_MAX
    }

    assert set() == longer
