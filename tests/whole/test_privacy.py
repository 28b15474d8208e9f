"""I6: what a person wrote or is stands nowhere but under a seal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from temporalio.client import Client

from stack.demo import API_TIMEOUT_SECONDS
from stack.embedded import HOST, EmbeddedStack
from stack.stories import v1
from stack.stories.clock import StoryClock
from stack.stories.teller import Teller
from stack.tokens import all_tokens
from tests.whole.free_text import Planter

MARK = b"zqmark"
NOT_OURS = ("ehr",)
"""Stores of the outside world: the EHR is meant to know the patient."""


@pytest.fixture(scope="session")
async def planted(stack: EmbeddedStack, state_dir: Path) -> AsyncIterator[tuple[Planter, Teller, httpx2.AsyncClient]]:
    """V1 up to the first dose, with a mark in every field that can hold one, and outside systems failing on the way."""
    planter = Planter()
    assert stack.temporal is not None
    temporal = await Client.connect(stack.temporal.target, namespace=stack.temporal.namespace)

    class Marked(Teller):
        async def _send(self, role: str, path: str, body: dict, headers: dict | None = None) -> httpx2.Response:  # type: ignore[type-arg]
            return await super()._send(role, path, planter.mark(body), headers)

    simulators = f"http://{HOST}:{stack.ports['simulators']}"
    outside = httpx2.AsyncClient(base_url=simulators, timeout=API_TIMEOUT_SECONDS, trust_env=False)
    api = httpx2.AsyncClient(base_url=stack.api_url, timeout=API_TIMEOUT_SECONDS, trust_env=False)
    for system in ("mail", "pharmacy", "pdmp"):
        fault = {"system": system, "mode": "error", "count": 1}
        (await outside.post("/control/faults", json=fault)).raise_for_status()
    teller = Marked(
        api=api,
        outside=outside,
        tokens=await all_tokens(state_dir, stack.ports["identity"]),
        clock=StoryClock(temporal, datetime.combine(v1.DAY_ZERO, datetime.min.time(), v1.ZONE).replace(hour=9)),
        day_zero=v1.DAY_ZERO,
        zone=v1.ZONE,
        progress=lambda _what, _when: None,
    )
    session = await v1.up_to_the_first_dose(teller)
    await v1.integration(teller, session, 24, 0)
    await teller.tell("therapist", "place_hold", hold="medical", reason="a reason")
    await teller.tell("prescriber", "lift_hold", hold="medical", reason="another reason")
    await teller.tell("patient", "report_safety_concern", concern="a concern")
    await teller.tell("on_call", "answer_page")
    await teller.tell("on_call", "close_safety_case", reason="a reason", plan="a plan", tier="none")
    yield planter, teller, api
    await api.aclose()
    await outside.aclose()


async def test_marks_were_planted_in_most_text_fields(planted: tuple[Planter, Teller, httpx2.AsyncClient]) -> None:
    """The search below is worth something: marks went into the fields that a journey to the first dose uses."""
    planter, _, _ = planted

    assert {"given", "family", "email", "phone", "line", "presenting_problem", "concern", "sig"} <= planter.planted
    assert len(planter.planted) >= 0.8 * len(planter.fields), sorted(planter.fields - planter.planted)


def _content(path: Path) -> bytes:
    """What a file holds; nothing for one that a running server has just removed."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def test_no_mark_is_written_anywhere(planted: tuple[Planter, Teller, httpx2.AsyncClient], state_dir: Path) -> None:
    """Neither the databases, nor Temporal's file, nor any log holds what was planted."""
    del planted
    files = [p for p in state_dir.rglob("*") if p.is_file() and p.relative_to(state_dir).parts[0] not in NOT_OURS]
    found = [str(p.relative_to(state_dir)) for p in files if MARK in _content(p)]

    assert [] == found
    assert any(p.suffix == ".db" or "temporal" in p.name for p in files)
    assert any("postgres" in p.parts for p in files)
    assert any("logs" in p.parts for p in files)


def test_failures_were_logged_without_their_words(
    planted: tuple[Planter, Teller, httpx2.AsyncClient], state_dir: Path
) -> None:
    """The worker logged the failed attempts at outside systems, so their absence of marks is no accident."""
    del planted
    worker_log = (state_dir / "logs" / "worker.log").read_text()

    assert "OutsideUnavailableError" in worker_log
    assert MARK.decode() not in worker_log


async def test_mails_hold_no_content(planted: tuple[Planter, Teller, httpx2.AsyncClient]) -> None:
    """A mail's subject and text name nobody and nothing; only its address is the patient's."""
    _, teller, _ = planted
    mails = (await teller.outside.get("/mail/messages")).json()

    assert mails
    assert all(MARK.decode() not in f"{mail['subject']} {mail['body']}" for mail in mails)


async def test_metrics_hold_no_mark(planted: tuple[Planter, Teller, httpx2.AsyncClient]) -> None:
    """What the API serves to a scraper names no person."""
    _, _, api = planted

    assert MARK.decode() not in (await api.get("/metrics")).text


async def test_an_error_body_does_not_repeat_what_was_sent(
    planted: tuple[Planter, Teller, httpx2.AsyncClient],
) -> None:
    """A malformed command is answered without its values."""
    _, teller, api = planted
    answer = await api.post(
        f"/journeys/{teller.journey_id}/commands/record_vitals",
        json={"systolic": "zqmark", "zqmark_field": "zqmark", "diastolic": 80, "heart_rate": 70},
        headers={
            "Authorization": f"Bearer {teller.tokens['therapist']}",
            "Idempotency-Key": str(uuid4()),
            "Occurred-At": datetime.now(UTC).isoformat(),
        },
    )

    assert 422 == answer.status_code
    assert '"zqmark"' not in answer.text
