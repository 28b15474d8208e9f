"""A submission that tells of danger is paged for and kept, whatever has failed; its sender sees where to call."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.wire import OutsideUnavailableError
from api import paging, urgent
from api.crisis import CRISIS, SAFETY_COMMANDS
from api.inbox import Inbox, Submission
from api.ports import NotRunningError, OutcomeUnknownError, RefusedError, StillWorkingError
from domain.codes import Code
from domain.effects import EffectRejected, PageOnCall
from domain.envelope import CommandEnvelope, Role
from domain.journey.safety import case_of
from store.errors import StoreUnavailableError
from tests.api.conftest import Api
from tests.api.test_commands import _summary
from workflows.contracts import CommandAnswer

CONCERN = {"concern": "I am not safe"}
NAME = "report_safety_concern"
PANEL = CRISIS.model_dump()


@pytest.fixture(autouse=True)
def _page_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait three seconds for a stand-in that will not answer."""
    monkeypatch.setattr(urgent, "PAGE_AFTER_SECONDS", 0.02)
    monkeypatch.setattr(paging, "CONFIRM_EVERY_SECONDS", 0.02)


def _slow(until: asyncio.Event) -> Any:
    async def behave(envelope: CommandEnvelope) -> CommandAnswer:
        await until.wait()
        return CommandAnswer(journey_id=uuid4(), command_id=envelope.command_id, sequence=9, events=())

    return behave


def _first_page(api: Api, command_id: UUID) -> str:
    return f"{api.journey_id}.{case_of(command_id)}.page.first.1"


async def _nothing_runs(api: Api) -> None:
    """Wait until every page is confirmed or given up."""
    async with asyncio.timeout(5):
        await api.app.state.confirmations.finish()


async def test_a_prompt_answer_whose_page_is_out_needs_none_of_ours(api: Api) -> None:
    """The journey's escalation has paged: the pager says so, and is not rung again."""
    key = uuid4()
    api.pager.pages[_first_page(api, key)] = PageOnCall(
        journey_id=api.journey_id, case_id=case_of(key), raised_at=datetime.now(UTC)
    )

    answer = await api.command(NAME, CONCERN, Role.PATIENT, key=key)
    await _nothing_runs(api)

    assert (200, PANEL) == (answer.status_code, answer.json()["crisis"])
    assert ([], [], []) == (api.journeys.escalations, api.pager.rung, await api.ports.inbox.all())


async def test_a_prompt_answer_without_a_page_is_paged_for(api: Api) -> None:
    """With the escalation's worker down the journey answers 200 and nobody wakes: the API pages, each case by its key.

    The first attempt fails, and the answer does not wait for any.
    """
    first, second = uuid4(), uuid4()
    api.pager.error = OutsideUnavailableError("pager", "timeout")

    answer = await api.command(NAME, CONCERN, Role.PATIENT, key=first)
    rung_before_the_answer = list(api.pager.rung)
    await api.command(NAME, CONCERN, Role.PATIENT, key=second)
    api.pager.error = None
    await _nothing_runs(api)

    assert (200, []) == (answer.status_code, rung_before_the_answer)
    assert sorted((_first_page(api, first), _first_page(api, second))) == sorted(api.pager.rung)
    assert [] == await api.ports.inbox.all()


@pytest.mark.parametrize("code", [Code.ROLE, Code.INVALID_ANSWERS, Code.KEY_REUSED])
async def test_a_refused_command_is_not_paged_for(api: Api, code: Code) -> None:
    """403, 422 and 409 in time: nothing was taken, and nobody is woken."""
    api.journeys.error = RefusedError(code, "no")

    await api.command(NAME, CONCERN, Role.PATIENT)
    await _nothing_runs(api)

    assert ([], [], []) == (api.journeys.escalations, api.pager.rung, await api.ports.inbox.all())


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_page_that_cannot_be_confirmed_is_kept_until_it_is(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    """At the end of the patience or of the process, what the pager has not taken stays in the inbox until it has."""
    monkeypatch.setattr(paging, "CONFIRM_FOR_SECONDS", 60 if stopped else 0.05)
    api.pager.error = OutsideUnavailableError("pager", "timeout")
    await api.command(NAME, CONCERN, Role.PATIENT)

    await (api.app.state.confirmations.stop() if stopped else _nothing_runs(api))
    await urgent.deliver_kept(api.ports)
    assert 1 == len(await api.ports.inbox.all())

    api.pager.error = None
    await urgent.deliver_kept(api.ports)
    assert (1, []) == (len(api.pager.rung), await api.ports.inbox.all())


async def test_a_slow_journey_is_escalated_for_and_then_answers(api: Api) -> None:
    """Unanswered in time, the journey's own escalation is started; then the answer comes and nothing stays behind."""
    until, key = asyncio.Event(), uuid4()
    api.journeys.behave = _slow(until)
    request = asyncio.create_task(api.command(NAME, CONCERN, Role.PATIENT, key=key))
    async with asyncio.timeout(5):
        await api.journeys.escalated.wait()
    until.set()

    answer = await request

    assert 200 == answer.status_code
    assert (api.journey_id, case_of(key)) == (
        api.journeys.escalations[0].journey_id,
        api.journeys.escalations[0].case_id,
    )
    assert ([_first_page(api, key)], []) == (api.pager.rung, await api.ports.inbox.all())


async def test_a_started_escalation_is_no_page(api: Api) -> None:
    """Temporal starts it, its worker is down and so is the pager: not paged, says the answer, and it is kept."""
    until = asyncio.Event()
    api.journeys.behave = _slow(until)
    api.pager.error = OutsideUnavailableError("pager", "timeout")
    request = asyncio.create_task(api.command(NAME, CONCERN, Role.PATIENT))
    async with asyncio.timeout(5):
        await api.journeys.escalated.wait()
    until.set()

    assert 200 == (await request).status_code
    assert [False] == [submission.paged for submission in await api.ports.inbox.all()]

    api.pager.error = None
    await urgent.deliver_kept(api.ports)
    assert (1, []) == (len(api.pager.rung), await api.ports.inbox.all())


async def test_without_temporal_it_is_paged_directly_and_kept(api: Api) -> None:
    """202 says that somebody was paged and that we keep it; once Temporal answers it is delivered, unchanged, once."""
    api.journeys.error = api.journeys.escalation_error = OutcomeUnknownError()
    key = uuid4()

    answer = await api.command(NAME, CONCERN, Role.PATIENT, key=key)

    assert (202, "kept", True, PANEL) == (
        answer.status_code,
        answer.json()["status"],
        answer.json()["paged"],
        answer.json()["crisis"],
    )
    assert [f"{api.journey_id}.{case_of(key)}.page.first.1"] == list(api.pager.pages)
    refused = api.journeys.sent.pop()
    await urgent.deliver_kept(api.ports)
    assert 1 == len(await api.ports.inbox.all())

    api.journeys.error = api.journeys.escalation_error = None
    api.journeys.sent.clear()
    await urgent.deliver_kept(api.ports)
    await urgent.deliver_kept(api.ports)

    assert [refused] == api.journeys.sent
    assert [] == await api.ports.inbox.all()
    assert 1 == len(api.pager.pages)


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailableError("keys"),
        RuntimeError("a bug"),
        RefusedError(Code.LEDGER_DIVERGED, "ask for a recovery"),
        RefusedError(Code.LOG_STALLED, "later"),
    ],
)
async def test_whatever_fails_somebody_is_paged_and_nothing_is_lost(api: Api, error: Exception) -> None:
    """No key database, a bug, a journey in quarantine: paged, kept, 202."""
    api.journeys.error = error

    answer = await api.command(NAME, CONCERN, Role.PATIENT)

    assert (202, "kept", True) == (answer.status_code, answer.json()["status"], answer.json()["paged"])
    assert 1 == len(api.journeys.escalations)
    assert 1 == len(await api.ports.inbox.all())


async def test_a_journey_that_temporal_lost_is_paged_for(api: Api) -> None:
    """Open in the log and not running: it will be rehydrated, the patient cannot wait for that."""
    api.journeys.error = NotRunningError()
    api.lists.rows[api.journey_id] = _summary(closed=False)

    answer = await api.command(NAME, CONCERN, Role.PATIENT)

    assert (202, True) == (answer.status_code, answer.json()["paged"])


async def test_a_command_in_history_is_not_kept_twice(api: Api) -> None:
    """Accepted and slow (Postgres is down, say): the journey has paged; 202, and the inbox stays empty."""
    api.journeys.error = StillWorkingError()

    answer = await api.command(NAME, CONCERN, Role.PATIENT)

    assert (202, "accepted", True) == (answer.status_code, answer.json()["status"], answer.json()["paged"])
    assert ([], []) == (api.journeys.escalations, await api.ports.inbox.all())
    assert 1 == len(api.pager.rung)


async def test_a_command_in_history_that_nobody_was_paged_for_is_paged_for_later(api: Api) -> None:
    """The pager does not answer in time for the 202, which says so; it is asked on."""
    api.journeys.error = StillWorkingError()
    api.pager.error = OutsideUnavailableError("pager", "timeout")

    answer = await api.command(NAME, CONCERN, Role.PATIENT)
    api.pager.error = None
    await _nothing_runs(api)

    assert (202, "accepted", False) == (answer.status_code, answer.json()["status"], answer.json()["paged"])
    assert 1 == len(api.pager.rung)


async def test_a_page_that_fails_is_tried_again(api: Api) -> None:
    """With the pager down too the answer says so, and paging goes on until somebody has it."""
    api.journeys.error = api.journeys.escalation_error = OutcomeUnknownError()
    api.pager.error = OutsideUnavailableError("pager", "timeout")
    answer = await api.command(NAME, CONCERN, Role.PATIENT)
    assert (202, False) == (answer.status_code, answer.json()["paged"])

    api.pager.error = None
    await urgent.deliver_kept(api.ports)

    assert 1 == len(api.pager.pages)
    assert [True] == [submission.paged for submission in await api.ports.inbox.all()]


@pytest.mark.parametrize(("code", "paged"), [("http_409", True), ("http_422", False)])
async def test_a_page_that_was_raised_before_counts(
    api: Api, monkeypatch: pytest.MonkeyPatch, code: str, *, paged: bool
) -> None:
    """The pager's 409 says that the escalation was faster; any other refusal wakes nobody."""

    async def refuse(key: str, request: object) -> EffectRejected:
        return EffectRejected(code=code)

    monkeypatch.setattr(api.pager, "send", refuse)
    api.journeys.error = api.journeys.escalation_error = OutcomeUnknownError()

    assert paged is (await api.command(NAME, CONCERN, Role.PATIENT)).json()["paged"]


async def test_a_disk_that_is_full_is_not_hidden(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Temporal nor the inbox holds it: paged, and a 503 that asks to send again."""

    async def full(submission: Submission) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr(api.ports.inbox, "keep", full)
    api.journeys.error = OutcomeUnknownError()

    answer = await api.command(NAME, CONCERN, Role.PATIENT)

    assert (503, "OUTCOME_UNKNOWN", PANEL) == (answer.status_code, answer.json()["code"], answer.json()["crisis"])
    assert 1 == len(api.journeys.escalations)


@pytest.mark.parametrize("name", sorted(SAFETY_COMMANDS))
@pytest.mark.parametrize("role", [Role.PATIENT, Role.AUDITOR, None])
async def test_the_panel_stands_in_every_answer(api: Api, name: str, role: Role | None) -> None:
    """No token, the wrong role, a malformed body: whoever tells of danger reads where to call."""
    path = f"/journeys/{api.journey_id}/commands/{name}"
    headers = {} if role is None else api.headers(role)

    answer = await api.http.post(path, content=b"{", headers=headers)

    assert ({None: 401, Role.AUDITOR: 403, Role.PATIENT: 422}[role], PANEL) == (
        answer.status_code,
        answer.json()["crisis"],
    )


async def test_an_answer_that_flags_danger_is_urgent_and_one_that_does_not_is_not(api: Api) -> None:
    """PHQ-9 item 9 at 3 is paged for when the journey is silent; at 0 it waits like any command."""
    api.journeys.error = OutcomeUnknownError()

    calm = await api.command("submit_gate_form", {"phq9_item9": 0}, Role.PATIENT)
    grave = await api.command("submit_gate_form", {"phq9_item9": 3}, Role.PATIENT)

    assert (503, 202) == (calm.status_code, grave.status_code)
    assert PANEL == calm.json()["crisis"]
    assert 1 == len(api.journeys.escalations)


async def test_what_is_kept_is_sealed_and_survives_a_restart(api: Api, tmp_path: Path) -> None:
    """No word of it stands on the disk; another process with the key reads it."""
    api.journeys.error = OutcomeUnknownError()
    await api.command(NAME, CONCERN, Role.PATIENT)

    files = [path for path in (tmp_path / "inbox").iterdir() if path.is_file()]
    found = await Inbox(tmp_path / "inbox", api.keys.key).all()

    assert [CONCERN] == [submission.envelope.body for submission in found]
    assert 1 == len(files)
    assert b"safe" not in files[0].read_bytes()
    assert 0o600 == files[0].stat().st_mode & 0o777


async def test_a_damaged_submission_is_set_aside(api: Api, tmp_path: Path) -> None:
    """One that does not open stops nothing and is kept for a person."""
    api.journeys.error = OutcomeUnknownError()
    await api.command(NAME, CONCERN, Role.PATIENT)
    await api.command(NAME, CONCERN, Role.PATIENT)
    first, _ = sorted((tmp_path / "inbox").iterdir())
    first.write_bytes(first.read_bytes()[:-1] + b"?")

    assert 1 == len(await api.ports.inbox.all())
    assert [".damaged", ".sealed"] == sorted(path.suffix for path in (tmp_path / "inbox").iterdir())


async def test_the_running_process_delivers_by_itself(api: Api) -> None:
    """What an earlier process kept is delivered as soon as this one has started."""
    api.journeys.error = OutcomeUnknownError()
    await api.command(NAME, CONCERN, Role.PATIENT)
    api.journeys.error = None

    delivering = asyncio.create_task(urgent.keep_delivering(api.ports))
    async with asyncio.timeout(5):
        while await api.ports.inbox.all():  # noqa: ASYNC110  a folder tells nobody that it is empty
            await asyncio.sleep(0)
    delivering.cancel()

    assert 2 == len(api.journeys.sent)
