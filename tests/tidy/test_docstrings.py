"""Every module says why it exists, every test which fact it states, every command what it does."""

from __future__ import annotations

import ast

from domain.journey import COMMANDS, FACTS
from domain.journey.messages import Command, Fact
from tests.tidy.tree import functions, python, tree


def test_every_module_says_why_it_exists() -> None:
    """A module begins with a docstring."""
    assert [] == [name for name in python() if not ast.get_docstring(tree(name))]


def test_every_test_states_a_fact() -> None:
    """A test begins with a docstring that ends as a sentence does."""
    silent = [
        f"{name}:{function.name}"
        for name in python("tests")
        for function in functions(name)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").endswith((".", "?", "!"))
    ]

    assert [] == silent


def test_every_command_and_fact_says_what_it_does() -> None:
    """What the API and the reference show of a command is its own docstring, not its parent's."""
    inherited = {Command.__doc__, Fact.__doc__, None, ""}

    assert [] == [name for name, message in {**COMMANDS, **FACTS}.items() if message.__doc__ in inherited]
