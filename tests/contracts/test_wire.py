"""Which HTTP answers end an effect, which only delay it, and what survives the way through Temporal."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from activities.paging import Pager
from activities.wire import OutsideUnavailableError, issue_code, rejected
from domain.effects import EffectCall, EffectOutcome, EffectRejected, EffectRequest
from runtime.http import http_client
from tests.contracts import requests
from tests.runtime.wiretap import Wiretap

KEY = "0193e6a0-0000-7000-8000-000000000001.7.page"


async def page(status: int, body: Any = None) -> EffectOutcome:
    """Page at a pager that answers this."""
    async with http_client("http://pager.example", timeout_seconds=1, transport=Wiretap(status, body)) as client:
        return await Pager(client).send(KEY, requests.page())


async def test_conflict_that_cannot_be_looked_up_is_tried_again() -> None:
    """A page key that is taken may mean that it has rung: a pager that cannot say for which case is asked again."""
    with pytest.raises(OutsideUnavailableError):
        await page(409)


@pytest.mark.parametrize("status", [400, 410, 412, 413, 415, 422])
async def test_blaming_the_request_is_for_good(status: int) -> None:
    """These statuses will not get better: the effect is rejected, under the status when there is no code."""
    assert EffectRejected(code=f"http_{status}") == await page(status)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504])
async def test_blaming_anything_else_is_an_outage(status: int) -> None:
    """These may pass, or be repaired on our side: the attempt fails and the effect stays owed."""
    with pytest.raises(OutsideUnavailableError, match=f"status_{status}"):
        await page(status)


@pytest.mark.parametrize("body", [None, [], {}, {"page_id": ""}, {"page_id": 7}])
async def test_success_without_an_answer_is_an_outage(body: Any) -> None:
    """A 2xx that does not say what was done is not taken for done."""
    with pytest.raises(OutsideUnavailableError, match="unreadable"):
        await page(201, body)


async def test_codes_not_prose() -> None:
    """A refusal keeps the system's code; a sentence in its place is dropped, for it may name the patient."""
    async with http_client("http://ehr.example", timeout_seconds=1, transport=Wiretap(422, {"issue": 1})) as client:
        response = await client.get("/")

    assert EffectRejected(code="900:refills") == rejected(response, "900:refills")
    assert EffectRejected(code="http_422") == rejected(response, "Zaphod Beeblebrox is unknown")
    assert EffectRejected(code="http_422") == rejected(response, "")
    assert issue_code(response) is None


@pytest.mark.parametrize(
    "request_made", [requests.prescription(), requests.query(), requests.mail(), requests.page()], ids=lambda r: r.kind
)
def test_calls_survive_json(request_made: EffectRequest) -> None:
    """A call comes out of Temporal's JSON as it went in, though its types are strict."""
    call = requests.call(request_made)

    assert call == EffectCall.model_validate_json(call.model_dump_json())


class Trickles(httpx2.AsyncBaseTransport):
    """A server that never finishes, and never lets a single read time out."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer: asyncio.Future[httpx2.Response] = asyncio.get_running_loop().create_future()
        return await answer


async def test_trickling_server_is_a_timeout() -> None:
    """The exchange as a whole is bounded, not only each of its reads."""
    async with http_client("http://pager.example", timeout_seconds=0.1, transport=Trickles()) as client:
        with pytest.raises(OutsideUnavailableError, match="timeout"):
            async with asyncio.timeout(5):
                await Pager(client).send(KEY, requests.page())
