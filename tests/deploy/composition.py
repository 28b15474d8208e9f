"""docker-compose.yml as the tests read it: parsed once, with its own shorthand undone."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


@cache
def compose() -> dict[str, Any]:
    """Give the whole file."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return document


def services() -> dict[str, dict[str, Any]]:
    """Give every service by its name."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """Give the services that run Alliance's own image."""
    return {name: service for name, service in services().items() if service["image"].startswith("alliance:")}


def variables() -> dict[str, str]:
    """Give every ``${NAME}`` in the file, with ``?`` when it must be set, ``-`` when it has a default, else nothing."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    return {found["name"]: found["kind"] or "" for found in _VARIABLE.finditer(text)}


def env_example() -> dict[str, str]:
    """Give what .env.example sets."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name: value for name, value in pairs}  # noqa: C416 mypy wants to see pairs


def substituted(value: str) -> str:
    """Put .env.example's values, or else the defaults, where the file names a variable."""
    given = env_example()
    return _VARIABLE.sub(lambda found: given.get(found["name"], found["rest"] or ""), value)


def programs(lock: Path) -> dict[str, str]:
    """Give the pins of a lock file: name to version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
