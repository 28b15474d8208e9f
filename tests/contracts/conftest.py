"""The outside systems, started once, as processes that know nothing of us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from outside.ehr import ehr_base_url, ehr_command, ehr_ready_url
from tests.contracts.outside_world import Outside
from tests.outside.servers import free_port, running, simulator_argv


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run pharmacy, PDMP, pager and mail; their base URL and SMTP port."""
    home = tmp_path_factory.mktemp("outside")
    (home / "secret").write_text("webhook secret")
    port, smtp_port, nobody = free_port(), free_port(), free_port()
    argv = simulator_argv(port, smtp_port, f"http://127.0.0.1:{nobody}/webhooks", home / "secret")
    with running(argv, {}, f"http://127.0.0.1:{port}/healthz", home / "log"):
        yield f"http://127.0.0.1:{port}", smtp_port


@pytest.fixture
async def outside(simulators: tuple[str, int]) -> AsyncIterator[Outside]:
    """The simulators, with no fault left over from another test and nobody on record at the PDMP."""
    url, smtp_port = simulators
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as control:
        world = Outside(url, smtp_port, control)
        for system in ("pharmacy", "pdmp", "pager", "mail"):
            await world.order(system, "off")
        (await control.post("/pdmp/control/scenario", json={"scenario": "clear"})).raise_for_status()
        yield world


@pytest.fixture(scope="session")
def ehr_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real FHIR R4 server; its base URL."""
    home: Path = tmp_path_factory.mktemp("ehr")
    port = free_port()
    argv, environment = ehr_command(home, port)
    with running(argv, environment, ehr_ready_url(port), home / "log"):
        yield ehr_base_url(port)
