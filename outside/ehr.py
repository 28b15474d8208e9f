"""How to start an EHR: ``sekmet-fhir``, a real FHIR R4 server on SQLite.

It ships with a hospital simulator that would answer orders by itself; that is off, so that whatever stands in the EHR
was put there by the system under test. Its traffic log is off too: it would keep bodies a second time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HOST = "127.0.0.1"


def ehr_base_url(port: int) -> str:
    return f"http://{HOST}:{port}/fhir"


def ehr_ready_url(port: int) -> str:
    """Answers 200 (the CapabilityStatement) once the server is ready."""
    return f"{ehr_base_url(port)}/metadata"


def ehr_command(state_dir: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """Write the server's settings; its argv and the environment variables to add. Data stays in ``state_dir``."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "base_url": ehr_base_url(port),
        "host": HOST,
        "port": port,
        "data_dir": str(state_dir / "data"),
        "own_private_key_path": str(state_dir / "keys" / "private.pem"),
        "facility_name": "Example EHR",
        "server_auth": {"types": ["none"]},
        "simulator": {"enabled": False},
        "log_inbound": False,
    }
    path = state_dir / "settings.yaml"
    # JSON is YAML: no YAML library is needed to write it.
    path.write_text(json.dumps(settings, indent=2))
    argv = [sys.executable, "-m", "uvicorn", "--factory", "sekmet.main:app_factory"]
    argv += ["--host", HOST, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    return argv, {"SEKMET_CONFIG": str(path)}
