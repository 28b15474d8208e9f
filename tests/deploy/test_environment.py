"""What the services are told: names that exist, values that are accepted, and all that each process needs."""

from __future__ import annotations

import subprocess
from typing import Any

import opentelemetry.sdk.environment_variables as otel
import pytest

import api.serving
import worker.escalations
import worker.journeys
from runtime.settings import PREFIX, Settings
from tests.deploy.composition import ROOT, compose, env_example, ours, services, substituted, variables

SDK_VARIABLES = {
    *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"),
    *("TEMPORAL_TLS", "TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_SERVER_NAME"),
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
}
"""What the Temporal SDK and CLI read (docs.temporal.io, environment configuration)."""

IMAGE_VARIABLES = {
    "temporalio/server": {
        *("DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "NUM_HISTORY_SHARDS", "BIND_ON_IP"),
        *("PROMETHEUS_ENDPOINT", "DYNAMIC_CONFIG_FILE_PATH"),
    },
    "temporalio/admin-tools": {*SDK_VARIABLES, "POSTGRES_SEEDS", "POSTGRES_USER", "DB_PORT", "RETENTION"},
    "temporalio/ui": {
        *("TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE", "TEMPORAL_CORS_ORIGINS", "TEMPORAL_CODEC_ENDPOINT"),
        *("TEMPORAL_CODEC_PASS_ACCESS_TOKEN", "TEMPORAL_DISABLE_WRITE_ACTIONS", "TEMPORAL_NOTIFY_ON_NEW_VERSION"),
        *("TEMPORAL_AUTH_ENABLED", "TEMPORAL_AUTH_PROVIDER_URL", "TEMPORAL_AUTH_CLIENT_ID"),
        *("TEMPORAL_AUTH_CALLBACK_URL", "TEMPORAL_AUTH_SCOPES"),
    },
    "postgres": {"POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"},
    "otel/opentelemetry-collector-contrib": set[str](),
}
"""What the images' own configuration templates read, and our scripts in them."""

NEEDED = {
    "migrate": ("log_owner_database_url", "keys_owner_database_url"),
    "worker": worker.journeys.NEEDED,
    "escalation-worker": worker.escalations.NEEDED,
    "api": (*api.serving.NEEDED, "inbox_folder"),
}
MAY_ALSO_HAVE = {"worker": {"ehr_token"}}


def setting_of(variable: str) -> str:
    """Name the setting that a variable sets, by its value or by a file."""
    name = variable.removeprefix(PREFIX).lower()
    return name if name in Settings.model_fields else name.removesuffix("_file")


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    """Give the settings that a service is given."""
    return {setting_of(name): value for name, value in service["environment"].items() if name.startswith(PREFIX)}


def test_every_setting_that_is_given_exists() -> None:
    """A misspelt variable would be ignored, and its default used with patients."""
    for service in ours().values():
        assert settings_of(service).keys() <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", ours())
def test_a_process_is_given_all_that_it_needs(name: str) -> None:
    """Each of our processes finds the settings without which it does not start."""
    assert set(NEEDED[name]) <= settings_of(ours()[name]).keys()


@pytest.mark.parametrize("name", ours())
def test_a_process_is_given_no_secret_that_it_does_not_need(name: str) -> None:
    """A worker that is broken into gives away its own secrets only."""
    secrets = {setting_of(f"{PREFIX}{secret.upper()}_FILE") for secret in ours()[name]["secrets"]}

    assert secrets <= {*NEEDED[name], *MAY_ALSO_HAVE.get(name, ())}


@pytest.mark.parametrize("name", ours())
def test_a_secret_is_handed_over_as_a_file(name: str) -> None:
    """No value of a secret setting stands in an environment, and each file that is named is mounted."""
    service = ours()[name]
    files = {value for variable, value in service["environment"].items() if variable.endswith("_FILE")}

    for variable in service["environment"]:
        field = Settings.model_fields.get(variable.removeprefix(PREFIX).lower())
        assert field is None or "SecretStr" not in str(field.annotation)
    assert files == {f"/run/secrets/{secret}" for secret in service["secrets"]}


@pytest.mark.parametrize("name", ours())
def test_the_example_settings_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With .env.example as it stands, every value parses as the settings want it."""
    for variable, value in ours()[name]["environment"].items():
        if variable.startswith(PREFIX) and not variable.endswith("_FILE"):
            monkeypatch.setenv(variable, substituted(value))

    settings = Settings()

    assert settings.simulated is False
    assert all(origin.startswith("https://") for origin in settings.codec_allowed_origins)


def test_standard_names_are_those_of_their_standards() -> None:
    """TEMPORAL_* and OTEL_* variables of ours are ones that the SDKs read."""
    for service in ours().values():
        others = {name for name in service["environment"] if not name.startswith(PREFIX)}
        assert others <= SDK_VARIABLES | set(vars(otel))


@pytest.mark.parametrize("name", sorted(services().keys() - ours().keys()))
def test_a_foreign_image_is_told_only_what_it_reads(name: str) -> None:
    """A variable that an image does not read is a protection or a limit that is not there."""
    service = services()[name]
    known = IMAGE_VARIABLES[service["image"].rpartition(":")[0]]

    assert set() == service.get("environment", {}).keys() - known


def test_the_example_names_every_variable_and_no_other() -> None:
    """Copying .env.example and filling it in is enough to start."""
    assert variables().keys() == env_example().keys()
    assert all(env_example().values())


def test_what_has_no_default_stops_the_start() -> None:
    """A variable either has a default or an error that names .env.example."""
    assert {"-", "?"} == set(variables().values())


def test_secrets_are_never_in_the_repository() -> None:
    """Secrets come from the one directory that git ignores, and nothing in .env.example is one."""
    for secret in compose()["secrets"].values():
        assert secret["file"].startswith("./secrets/")
        assert subprocess.run(["git", "check-ignore", "--quiet", secret["file"]], cwd=ROOT, check=False).returncode == 0
    for name in env_example():
        field = Settings.model_fields.get(name.removeprefix(PREFIX).lower())
        assert field is None or "SecretStr" not in str(field.annotation)
