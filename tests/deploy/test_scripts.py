"""The scripts that containers run, run here against the real PostgreSQL and the real Temporal."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from runtime.names import SEARCH_ATTRIBUTES
from stack.postgres import PostgresServer, find_binaries, postgres
from stack.temporal_server import TemporalOptions, TemporalServer, find_binary, temporal
from store.migrate import migrate
from tests.deploy.composition import DEPLOY, ROOT, SCRIPTS, compose, services
from vault.kek import read_keks

WRITTEN_BY_A_PERSON = {"smtp_url", "temporal_ui_client_secret"}


def run(script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, as a container would."""
    command = ["sh", str(DEPLOY / script), *arguments]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secret files as an operator makes them."""
    directory = tmp_path_factory.mktemp("deploy") / "secrets"
    done = run("make-secrets.sh", str(directory), APP_UID=str(os.geteuid() or 10001))
    assert (0, "") == (done.returncode, done.stderr)
    return directory


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_script_is_one_that_a_plain_shell_can_run(script: Path) -> None:
    """Every script is POSIX sh, stops at the first failure, and is executable where the image wants it to be."""
    checked = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)

    assert (0, "") == (checked.returncode, checked.stderr)
    assert script.read_text("utf-8").startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text("utf-8")
    assert script.stat().st_mode & stat.S_IXUSR


def test_every_secret_file_is_made_or_asked_for(secrets: Path) -> None:
    """What the compose file wants is there, but for what only a person knows, and that is named."""
    wanted = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    again = run("make-secrets.sh", str(secrets))

    assert wanted == {path.name for path in secrets.iterdir()} | WRITTEN_BY_A_PERSON
    assert all(f"{secrets}/{name}" in again.stdout for name in WRITTEN_BY_A_PERSON)


def test_the_key_file_is_one_that_alliance_accepts(secrets: Path) -> None:
    """The KEK is 32 bytes, and the file is closed to everybody but its owner."""
    (kek,) = read_keks(secrets / "kek.json").keks

    assert kek.id.startswith("local-")
    assert kek.cipher()


def test_a_secret_that_exists_is_never_replaced(secrets: Path) -> None:
    """Running the script again changes nothing: a lost KEK loses every patient's data."""
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    run("make-secrets.sh", str(secrets))

    assert before == {path.name: path.read_bytes() for path in secrets.iterdir()}


def test_secrets_are_closed_to_others_on_the_host(secrets: Path) -> None:
    """Containers read single files; nobody else on the machine gets into the directory."""
    assert 0o700 == stat.S_IMODE(secrets.stat().st_mode)


@dataclass(frozen=True)
class Cluster:
    """A server whose roles and databases the init script has made, twice."""

    server: PostgresServer
    results: tuple[subprocess.CompletedProcess[str], ...]

    def url(self, database: str, role: str) -> str:
        return self.server.url(database, role)


@pytest.fixture(scope="module")
async def cluster(secrets: Path) -> AsyncIterator[Cluster]:
    """Run a PostgreSQL on which only the init script was run."""
    async with postgres() as server:
        env = {
            "PGHOST": str(conninfo_to_dict(server.url("postgres"))["host"]),
            "PATH": f"{find_binaries()}:{os.environ['PATH']}",
            "SECRETS_DIR": str(secrets),
            "POSTGRES_USER": "postgres",
        }
        results = [await asyncio.to_thread(run, "postgres/init.sh", **env) for _ in range(2)]
        yield Cluster(server, tuple(results))


async def test_the_databases_are_made_once_and_making_them_again_is_harmless(cluster: Cluster) -> None:
    """The init script ends well on an empty server and on its own work."""
    assert [(0, ""), (0, "")] == [(result.returncode, result.stderr) for result in cluster.results]


@pytest.mark.parametrize("which", ["log", "keys"])
async def test_the_owner_can_migrate_and_the_application_can_only_use(
    cluster: Cluster, which: Literal["log", "keys"]
) -> None:
    """Migrations run as the owning role; the application's role reads the tables and cannot make one."""
    owner, app = (cluster.url(f"alliance_{which}", f"alliance_{which}_{role}") for role in ("owner", "app"))
    table = {"log": "events", "keys": "patients"}[which]

    assert await migrate(owner, which)
    async with await AsyncConnection.connect(app, autocommit=True) as connection:
        rows = await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchall()
        assert [(0,)] == rows
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("CREATE TABLE mine (id int)")


@pytest.mark.parametrize(
    ("database", "role"),
    [
        ("alliance_keys", "alliance_log_app"),
        ("alliance_keys", "alliance_log_owner"),
        ("alliance_log", "alliance_keys_app"),
        ("alliance_log", "temporal"),
        ("alliance_keys", "temporal"),
        ("temporal", "alliance_log_app"),
    ],
)
async def test_a_role_cannot_enter_a_database_that_is_not_its_own(cluster: Cluster, database: str, role: str) -> None:
    """Log, keys and Temporal are closed to each other's roles."""
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await AsyncConnection.connect(cluster.url(database, role))


async def test_passwords_are_kept_as_scram_and_no_login_rules_the_server(cluster: Cluster) -> None:
    """Every role that signs in has a salted password and is no superuser."""
    query = "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%', rolsuper FROM pg_authid WHERE rolcanlogin"
    async with await AsyncConnection.connect(cluster.url("postgres", "postgres")) as connection:
        logins = {row[0]: row[1:] for row in await (await connection.execute(query)).fetchall()}
    del logins["postgres"]  # the server's own superuser, whose password is the image's affair

    expected = {f"alliance_{which}_{role}" for which in ("log", "keys") for role in ("owner", "app")} | {"temporal"}
    assert expected == logins.keys()
    assert {(True, False)} == set(logins.values())


async def test_temporal_can_make_the_extension_that_its_schema_wants(cluster: Cluster) -> None:
    """Temporal's visibility schema begins with btree_gin, which its own role may create."""
    async with await AsyncConnection.connect(cluster.url("temporal_visibility", "temporal")) as connection:
        await connection.execute("CREATE EXTENSION btree_gin")


@pytest.fixture(scope="module")
async def temporal_without() -> AsyncIterator[TemporalServer]:
    """Run a Temporal that does not know our namespace's attributes."""
    async with temporal(options=TemporalOptions(namespace="another")) as server:
        yield server


async def test_the_namespace_is_made_as_journeys_need_it(temporal_without: TemporalServer) -> None:
    """The script makes the namespace with the composed retention and every search attribute, and may be run again."""
    given = services()["temporal-namespace"]["environment"]
    env = {
        **given,
        "TEMPORAL_ADDRESS": temporal_without.target,
        "PATH": f"{find_binary().parent}:{os.environ['PATH']}",
    }

    results = [await asyncio.to_thread(run, "temporal/create-namespace.sh", **env) for _ in range(2)]

    client = await Client.connect(temporal_without.target, namespace=given["TEMPORAL_NAMESPACE"])
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=given["TEMPORAL_NAMESPACE"])
    )
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=given["TEMPORAL_NAMESPACE"])
    )
    assert [0, 0] == [result.returncode for result in results], results
    assert "made search attribute" not in results[1].stderr
    assert TemporalOptions().retention == described.config.workflow_execution_retention_ttl.ToTimedelta()
    assert {key.name: int(key.indexed_value_type) for key in SEARCH_ATTRIBUTES} == dict(listed.custom_attributes)


@pytest.mark.parametrize(
    ("script", "program", "variable", "secret"),
    [
        ("start-server.sh", "temporal-server", "POSTGRES_PWD", "temporal_database_password"),
        ("setup-schema.sh", "temporal-sql-tool", "SQL_PASSWORD", "temporal_database_password"),
    ],
)
def test_a_start_script_hands_over_the_secret_that_its_service_has(
    script: str, program: str, variable: str, secret: str
) -> None:
    """A service whose script reads a secret is given that secret, and its program is started with it."""
    text = (DEPLOY / "temporal" / script).read_text("utf-8")
    (service,) = (service for service in services().values() if f"/scripts/{script}" in str(service.get("entrypoint")))

    assert [secret] == service["secrets"]
    assert f"{variable}=$(cat /run/secrets/{secret})" in text
    assert program in text


def test_no_script_is_left_behind() -> None:
    """Every script is mounted by a service, or is run by a person and named in the documentation."""
    mounted = {Path(m.split(":")[0]) for service in services().values() for m in service.get("volumes", [])}
    guide = (ROOT / "docs" / "deployment.md").read_text("utf-8")

    for script in SCRIPTS:
        path = script.relative_to(ROOT)
        assert path in mounted or path.as_posix() in guide
