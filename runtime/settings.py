"""Everything a deployment may choose, in one place, each with a name, a meaning and an error that says what to do.

Read from ``ALLIANCE_*`` variables and from files under ``/run/secrets``; a secret may also be named by
``ALLIANCE_<NAME>_FILE``. Temporal and OpenTelemetry keep their own standard ``TEMPORAL_*`` and ``OTEL_*`` names.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "ALLIANCE_"
_SECRETS_DIR = Path("/run/secrets")


class SettingsError(Exception):
    """A setting that this process needs is missing or cannot be read. The message names the variable to set."""


def _default_build_id() -> str:
    return f"{metadata.version('alliance')}-dev"


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)


class _SecretFiles(PydanticBaseSettingsSource):
    """``ALLIANCE_X_FILE=/path`` for each secret X, as container platforms hand out secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None or not _is_secret(field):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            reason = type(error).__name__
            raise SettingsError(
                f"{variable} names a file that cannot be read ({reason}): check its path and its owner."
            ) from None

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """What this process was told. A value that is None was not given; ``need`` says so when it is asked for."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        secrets_dir=_SECRETS_DIR if _SECRETS_DIR.is_dir() else None,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    log_database_url: SecretStr | None = Field(
        default=None, description="Event log database, as the application role (postgresql://…)."
    )
    log_owner_database_url: SecretStr | None = Field(
        default=None, description="Event log database, as the role that owns the schema: migrations only."
    )
    keys_database_url: SecretStr | None = Field(
        default=None, description="Key database, as the application role; another failure domain than the log (D9)."
    )
    keys_owner_database_url: SecretStr | None = Field(
        default=None, description="Key database, as the role that owns the schema: migrations only."
    )
    kek_file: Path | None = Field(
        default=None, description="File with the key that wraps the patients' data keys; readable by its owner alone."
    )
    simulated: bool = Field(
        default=False,
        description="Simulated mode: clock shift and the embedded signer are allowed. Never with patients.",
    )
    oidc_issuer: str | None = Field(default=None, description="Issuer of the tokens that the API accepts (https://…).")
    oidc_audience: str | None = Field(default=None, description="Audience that a token must name.")
    ehr_url: str | None = Field(default=None, description="Base URL of the EHR's FHIR R4 API.")
    ehr_token: SecretStr | None = Field(default=None, description="Bearer token for the EHR, when it wants one.")
    pharmacy_url: str | None = Field(
        default=None, description="Base URL of the pharmacy network; ``messages`` is below it."
    )
    pharmacy_webhook_secret: SecretStr | None = Field(
        default=None, description="Shared secret that signs the pharmacy's webhooks (HMAC-SHA256)."
    )
    pdmp_url: str | None = Field(
        default=None, description="Base URL of the prescription-drug monitoring gateway; ``fhir`` is below it."
    )
    smtp_url: SecretStr | None = Field(
        default=None, description="Mail relay, smtp://[user:password@]host:port, or smtps:// for TLS from the start."
    )
    mail_from: str | None = Field(
        default=None, description="Sender of every mail; its domain also names every Message-ID."
    )
    portal_url: str | None = Field(default=None, description="Where a mail asks the patient to sign in (https://…).")
    mail_status_url: str | None = Field(
        default=None,
        description="Base URL where the mail provider says if it took a message; ``messages`` is below it.",
    )
    inbox_folder: Path | None = Field(
        default=None, description="Folder on a lasting disk for safety submissions that wait for Temporal (D12)."
    )
    pager_url: str | None = Field(
        default=None, description="Base URL of the on-call paging service; ``pages`` is below it."
    )
    practice_time_zone: str = Field(
        default="America/New_York",
        description="Time zone of the practice: business hours and deadlines are counted in it.",
    )
    build_id: str = Field(
        default_factory=_default_build_id, description="Name of this build; a run of a journey is pinned to it (D7)."
    )
    worker_versioning: bool = Field(
        default=False, description="Pin runs to their build (D7); needs a Temporal server that manages deployments."
    )
    metrics_bind: str | None = Field(
        default=None, description="host:port where this process serves Prometheus metrics; none when not set."
    )
    codec_allowed_origins: tuple[str, ...] = Field(
        default=(), description="Origins of Temporal UIs that may ask the codec server to decode (JSON list)."
    )
    command_timeout_seconds: float = Field(
        default=10.0, gt=0, description="How long the API waits for a journey's answer before it says 202 or 503."
    )
    effect_timeout_seconds: float = Field(
        default=20.0, gt=0, le=30, description="Limit of one attempt at an outside system (D17: at most 30)."
    )
    max_cached_workflows: int = Field(
        default=1000, ge=0, description="Journeys a worker keeps in memory; 0 replays every time (tests)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log level that is written."
    )

    @property
    def request_timeout_seconds(self) -> float:
        """The limit of one exchange with an outside system: asking and then sending must fit into one attempt."""
        return self.effect_timeout_seconds * 0.4

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, that over ``_FILE`` variables, those over the secrets directory."""
        del dotenv_settings  # a .env file is a secret that gets committed
        return init_settings, env_settings, _SecretFiles(settings_cls), file_secret_settings

    def check(self, *names: str) -> None:
        """Raise SettingsError naming every one of these settings that is missing, all at once."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            lines = [f"  {_variables(name)}: {type(self).model_fields[name].description}" for name in missing]
            raise SettingsError("\n".join(["This process cannot start without these settings; set them:", *lines]))

    def need(self, name: str) -> str:
        """Give a setting's value as text, a secret's in clear. Raises SettingsError when it is missing."""
        self.check(name)
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load_settings() -> Settings:
    """Read the settings. Raises SettingsError naming each variable whose value cannot be used, never the value."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"  {PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(["These settings cannot be used; correct them:", *lines])) from None


def _variables(name: str) -> str:
    variable = PREFIX + name.upper()
    return f"{variable} or {variable}_FILE" if _is_secret(Settings.model_fields[name]) else variable
