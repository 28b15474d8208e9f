"""Who may import whom: the contracts of import-linter, and that they are about all of our packages."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.tidy.tree import ROOT, python

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NOT_SHIPPED = {"benchmarks", "docs", "tests"}


def test_every_contract_of_the_house_holds() -> None:
    """Layers, the pure domain, workflows without I/O and an outside world that knows nothing of us."""
    done = subprocess.run(
        [Path(sys.prefix) / "bin" / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_every_package_is_under_the_contracts_the_types_and_in_the_wheel() -> None:
    """A new folder is not forgotten by import-linter, mypy or the build."""
    packages = {name.split("/", 1)[0] for name in python() if "/" in name} - NOT_SHIPPED

    assert packages == set(PYPROJECT["tool"]["importlinter"]["root_packages"])
    assert packages == set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert packages <= set(PYPROJECT["tool"]["mypy"]["packages"])
