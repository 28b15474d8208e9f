"""The documentation says what the code says, names all that can be named, and leads nowhere that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs import build
from docs.sayings import sentences
from domain.codes import Code
from domain.journey import COMMANDS, EVENTS, FACTS
from domain.protocols import CATALOGUE
from runtime.settings import PREFIX, Settings
from tests.tidy.tree import ROOT, texts

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
STACK_VARIABLES = {"ALLIANCE_STATE_DIR", "ALLIANCE_PG_BIN"}
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]

_WHOLE_VARIABLE = re.compile(r"(?<![\w<])ALLIANCE_[A-Z0-9_]*[A-Z0-9](?![\w<*])")


@pytest.mark.parametrize("page", build.WRITTEN, ids=lambda page: page.name)
def test_a_written_page_is_what_the_code_says(page: Path) -> None:
    """Nobody changed a registry without its reference: ``python -m docs.build`` writes it."""
    assert build.page(page) == page.read_text("utf-8")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("commands", {*COMMANDS, *FACTS}),
        ("events", set(EVENTS)),
        ("codes", {code.value for code in Code}),
        ("settings", {PREFIX + name.upper() for name in Settings.model_fields}),
        ("protocols", set(CATALOGUE)),
    ],
)
def test_everything_that_can_be_named_is_documented(kind: str, named: set[str]) -> None:
    """Each command, fact, event type, code, setting and protocol stands in its page of the reference."""
    page = (ROOT / "docs" / "reference" / f"{kind}.md").read_text("utf-8")

    assert set() == {name for name in named if f"`{name}`" not in page}


def test_every_code_says_what_to_do() -> None:
    """A code that no line of code uses, or that comes without a sentence, is not a refusal that helps."""
    assert set() == {code.value for code in Code} - sentences().keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    """Every relative link of a page is a file, and its anchor a heading of that file."""
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as they are made from the headings' text."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_variable_that_is_written_about_exists() -> None:
    """Documentation and scripts name no setting that was renamed or never there."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | STACK_VARIABLES
    known |= {f"{name}_FILE" for name in known}
    written = {
        (name, variable)
        for name, text in texts().items()
        if name.endswith((".md", ".sh", ".yml", ".example")) or name in {"run", "Makefile", "Dockerfile"}
        for variable in _WHOLE_VARIABLE.findall(text)
    }

    assert set() == {(name, variable) for name, variable in written if variable not in known}


def distribution(requirement: str) -> str:
    """Give the name that a requirement begins with."""
    return re.split(r"[\[<>=~! ]", requirement, maxsplit=1)[0]


def test_every_direct_dependency_is_explained_and_no_other() -> None:
    """docs/dependencies.md has a line with reason, licence and alternatives for each one of pyproject.toml."""
    project = PYPROJECT["project"]
    declared = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", (ROOT / "docs" / "dependencies.md").read_text("utf-8"), re.MULTILINE)

    assert {distribution(requirement) for requirement in declared} == {name for name, _ in rows}
    assert len(rows) == len({name for name, _ in rows})
    assert all(cell.strip() for _, cells in rows for cell in cells.split("|"))
