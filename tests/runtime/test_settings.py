"""Settings: where they come from, and what a missing or wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from runtime.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ALLIANCE_{name.upper()}", raising=False)
        monkeypatch.delenv(f"ALLIANCE_{name.upper()}_FILE", raising=False)


def test_everything_has_a_description() -> None:
    """No setting is without a sentence that says what it is for."""
    assert [] == [name for name, field in Settings.model_fields.items() if not field.description]


def test_defaults_are_safe() -> None:
    """Nothing is simulated unless asked for, and the build is named after the version."""
    settings = Settings()

    assert settings.simulated is False
    assert "America/New_York" == settings.practice_time_zone
    assert settings.build_id.endswith("-dev")


def test_missing_settings_are_named_all_at_once() -> None:
    """A process that needs three settings and has one hears of the other two, and how to give them."""
    settings = Settings(ehr_url="http://ehr.example/fhir")

    with pytest.raises(SettingsError) as caught:
        settings.check("ehr_url", "log_database_url", "kek_file")

    assert "ALLIANCE_LOG_DATABASE_URL or ALLIANCE_LOG_DATABASE_URL_FILE" in str(caught.value)
    assert "ALLIANCE_KEK_FILE" in str(caught.value)
    assert "ALLIANCE_KEK_FILE_FILE" not in str(caught.value)
    assert "ALLIANCE_EHR_URL" not in str(caught.value)


def test_environment_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable sets a setting; an argument wins over it."""
    monkeypatch.setenv("ALLIANCE_PHARMACY_URL", "http://one.example")

    assert "http://one.example" == Settings().need("pharmacy_url")
    assert "http://two.example" == Settings(pharmacy_url="http://two.example").need("pharmacy_url")


def test_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``_FILE`` names a file that holds the secret; its last line break is not part of it."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    monkeypatch.setenv("ALLIANCE_PHARMACY_WEBHOOK_SECRET_FILE", str(secret))
    settings = load_settings()

    assert "s3cret" == settings.need("pharmacy_webhook_secret")
    assert "s3cret" not in repr(settings)


def test_variable_wins_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Given both, the variable itself counts."""
    secret = tmp_path / "secret"
    secret.write_text("from file")
    monkeypatch.setenv("ALLIANCE_EHR_TOKEN_FILE", str(secret))
    monkeypatch.setenv("ALLIANCE_EHR_TOKEN", "from variable")

    assert SecretStr("from variable") == Settings().ehr_token


def test_unreadable_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ``_FILE`` that cannot be read is an error that names the variable."""
    monkeypatch.setenv("ALLIANCE_EHR_TOKEN_FILE", str(tmp_path / "nowhere"))

    with pytest.raises(SettingsError, match="ALLIANCE_EHR_TOKEN_FILE"):
        load_settings()


def test_wrong_value_is_named_but_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt may not last longer than 30 seconds, and the error does not repeat what was written."""
    monkeypatch.setenv("ALLIANCE_EFFECT_TIMEOUT_SECONDS", "31.25")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    with pytest.raises(ValidationError) as raw:
        Settings()

    assert "ALLIANCE_EFFECT_TIMEOUT_SECONDS" in str(caught.value)
    assert "31.25" not in f"{caught.value} {raw.value}"
