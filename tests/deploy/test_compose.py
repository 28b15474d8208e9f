"""docker-compose.yml: whole, closed, and of the versions that everything else was tested with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.app import app
from stack.postgres import find_binaries
from stack.temporal_server import find_binary
from tests.deploy.composition import ROOT, compose, ours, programs, services

SERVICE_KEYS = {
    *("build", "cap_add", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image"),
    *("init", "logging", "networks", "ports", "read_only", "restart", "secrets", "security_opt", "stop_grace_period"),
    *("tmpfs", "user", "volumes"),
}
NO_HEALTH_CHECK = {
    "otel-collector": "its image holds one program and no shell; nothing waits for it",
}
WRITABLE = {
    "temporal-ui": "the image writes its configuration beside its program",
}
ONE_OFF = "service_completed_successfully"

every_service = pytest.mark.parametrize(("name", "service"), services().items(), ids=list(services()))


def dependencies() -> set[tuple[str, str]]:
    """Give what is waited for, and until when."""
    return {
        (needed, how["condition"])
        for service in services().values()
        for needed, how in service.get("depends_on", {}).items()
    }


def jobs() -> set[str]:
    """Give the services that end by themselves."""
    return {name for name, condition in dependencies() if condition == ONE_OFF}


@every_service
def test_a_service_uses_only_keys_of_the_compose_specification(name: str, service: dict[str, Any]) -> None:
    """A misspelt key is a protection that is not there, and an engine may not complain."""
    assert set() == service.keys() - SERVICE_KEYS


@every_service
def test_everything_a_service_names_is_defined(name: str, service: dict[str, Any]) -> None:
    """Secrets, networks, volumes and services that are referred to exist."""
    mounts = [mount.split(":")[0] for mount in service.get("volumes", [])]

    assert set(service.get("secrets", [])) <= compose()["secrets"].keys()
    assert set(service["networks"]) <= compose()["networks"].keys()
    assert {mount for mount in mounts if not mount.startswith("./")} <= compose()["volumes"].keys()
    assert set(service.get("depends_on", {})) <= services().keys()


def test_nothing_is_defined_for_nobody() -> None:
    """Every secret and volume that is defined is used by some service."""
    used = {secret for service in services().values() for secret in service.get("secrets", [])}
    mounted = {mount.split(":")[0] for service in services().values() for mount in service.get("volumes", [])}

    assert compose()["secrets"].keys() == used
    assert compose()["volumes"].keys() <= mounted


@every_service
def test_everything_that_is_mounted_is_in_the_repository(name: str, service: dict[str, Any]) -> None:
    """An engine makes an empty directory of a file that is missing, and the service then runs without it."""
    files = [mount.split(":") for mount in service.get("volumes", []) if mount.startswith("./")]

    for source, _target, mode in files:
        assert (ROOT / source).is_file()
        assert mode == "ro"


@every_service
def test_a_service_can_do_no_more_than_it_needs(name: str, service: dict[str, Any]) -> None:
    """No capabilities, no new privileges, a reaper, and a file system that cannot be written."""
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert service["init"] is True
    assert (name not in WRITABLE) is service["read_only"]


@every_service
def test_a_port_is_open_to_this_machine_only(name: str, service: dict[str, Any]) -> None:
    """Nothing is published on an address that others reach."""
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_databases_and_temporal_have_no_way_out() -> None:
    """What holds the record is on a network without a route to anywhere."""
    closed = {"postgresql", "temporal", "temporal-schema", "temporal-namespace", "migrate"}

    assert compose()["networks"]["inside"] == {"internal": True}
    assert closed == {name for name, service in services().items() if service["networks"] == ["inside"]}


@every_service
def test_a_service_that_keeps_running_says_how_it_is(name: str, service: dict[str, Any]) -> None:
    """Every service but the jobs has a health check that is a command, with a start period."""
    if name in jobs() or name in NO_HEALTH_CHECK:
        assert "healthcheck" not in service
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert "start_period" in service["healthcheck"]


def test_nobody_waits_for_health_that_nobody_reports() -> None:
    """Jobs are waited for until they are done, the others until they are healthy."""
    for name, condition in dependencies():
        assert condition == ONE_OFF or (condition == "service_healthy" and "healthcheck" in services()[name])


@pytest.mark.parametrize("name", ours())
def test_a_command_of_ours_is_one_that_the_command_line_knows(name: str) -> None:
    """What a container runs, and what its health check runs, is parsed by the real command line."""
    service = ours()[name]
    lines = [service["command"]]
    if "healthcheck" in service:
        lines.append(service["healthcheck"]["test"][1:])

    for program, *words in lines:
        assert program == "alliance"
        command = typer.main.get_command(app)
        while isinstance(command, typer.core.TyperGroup):
            assert words[0] in command.commands
            command = command.commands[words.pop(0)]
        command.make_context(program, words)  # parses, runs nothing; refuses what it does not know


def test_servers_are_those_that_the_tests_run_against() -> None:
    """Temporal, its UI and PostgreSQL have the versions of the binaries in the embedded stack."""
    images = [service["image"].rpartition(":") for service in services().values()]
    tags = {image: tag for image, _, tag in images if image != "alliance"}
    temporal = subprocess.check_output([find_binary(), "--version"], text=True)
    postgres = subprocess.check_output([find_binaries() / "postgres", "--version"], text=True)

    assert f"Server {tags['temporalio/server']}, UI {tags['temporalio/ui']}" in temporal
    assert tags["temporalio/server"] == tags["temporalio/admin-tools"]
    assert postgres.split()[-1] == tags["postgres"]


def test_an_image_is_of_one_version() -> None:
    """No tag is left out or floats."""
    for service in services().values():
        if not service["image"].startswith("alliance:"):
            assert re.fullmatch(r"[a-z0-9/-]+:\d+\.\d+(\.\d+)?", service["image"])


@pytest.mark.parametrize("which", ["runtime", "build"])
def test_the_image_holds_what_the_tests_ran_with(which: str) -> None:
    """Every pin of the image's locks is a pin of the lock that the tests are installed from, with its hashes."""
    lock: Path = ROOT / "deploy" / f"requirements.{which}.lock"
    tested = programs(ROOT / "requirements.lock")
    entries = re.split(r"\n(?=\S)", lock.read_text("utf-8").strip())

    assert programs(lock)
    assert all(tested[name] == version for name, version in programs(lock).items() if name in tested)
    assert programs(lock).keys() <= tested.keys()
    assert all("--hash=sha256:" in entry for entry in entries)
