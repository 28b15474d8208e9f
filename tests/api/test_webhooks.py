"""The pharmacy is believed when its signature is right; what it says is in the journey before we say 202."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.ports import NotRunningError, OutcomeUnknownError
from domain.journey import FACTS
from outside.webhooks import sign
from tests.api.conftest import SECRET, Api
from tests.api.test_commands import _summary

SENT = "2026-01-14T16:00:00-05:00"


async def _tell(
    api: Api, body: Any, *, related: str | None = None, secret: str = SECRET, **header: str
) -> httpx2.Response:
    key = related or f"{api.journey_id}.31.new_rx"
    message = {
        "Header": {"MessageID": str(uuid4()), "RelatesToMessageID": key, "SentTime": SENT} | header,
        "Body": body,
    }
    return await _send(api, json.dumps(message).encode(), secret=secret)


async def _send(api: Api, raw: bytes, *, secret: str = SECRET, age: int = 0) -> httpx2.Response:
    timestamp = str(int(time.time()) - age)
    headers = {"X-Pharmacy-Timestamp": timestamp, "X-Pharmacy-Signature": sign(secret.encode(), timestamp, raw)}
    return await api.http.post("/webhooks/pharmacy", content=raw, headers=headers)


@pytest.mark.parametrize(
    ("body", "name", "fields"),
    [
        ({"Verify": {"Code": "010"}}, "pharmacy_status_received", {"code": "010", "accepted": True}),
        ({"Status": {"Code": "000"}}, "pharmacy_status_received", {"code": "000", "accepted": True}),
        (
            {"Error": {"Code": "900", "DescriptionCode": "Body.NewRx:missing"}},
            "pharmacy_status_received",
            {"code": "900:Body.NewRx:missing", "accepted": False},
        ),
        (
            {"RxFill": {"FillStatus": "Dispensed", "Quantity": 6, "LotNumber": "K-7", "BeyondUseDate": "2026-04-15"}},
            "pharmacy_fill_reported",
            {"note": "Dispensed", "lot": "K-7", "quantity": 6, "beyond_use_on": "2026-04-15"},
        ),
        (
            {"RxFill": {"FillStatus": "NotDispensed", "LaterVersion": 1}},
            "pharmacy_fill_reported",
            {"note": "NotDispensed", "lot": None, "quantity": 0, "beyond_use_on": None},
        ),
        ({"Delivered": {"SignedByAdult": True}}, "pharmacy_delivery_reported", {"signed_by_adult": True}),
        (
            {"CancelRxResponse": {"Response": "Denied", "ReasonCode": "already_dispensed"}},
            "pharmacy_status_received",
            {"code": "CancelRxResponse:Denied", "accepted": False},
        ),
    ],
)
async def test_each_message_becomes_its_fact(api: Api, body: Any, name: str, fields: dict[str, Any]) -> None:
    """Named and shaped as the domain has it, dated by the message, under the message's id."""
    answer = await _tell(api, body, MessageID="message-1")

    journey_id, fact = api.journeys.facts[0]
    assert (202, b"") == (answer.status_code, answer.content)
    assert (api.journey_id, "message-1", name, "pharmacy") == (journey_id, fact.fact_id, fact.name, fact.source)
    assert datetime(2026, 1, 14, 21, tzinfo=UTC) == fact.occurred_at
    assert {"key": f"{api.journey_id}.31.new_rx"} | fields == fact.body
    assert FACTS[name].model_validate_json(json.dumps(fact.body))


async def test_a_stranger_is_not_heard(api: Api) -> None:
    """Another secret, an old recording, and no signature at all: 401, and nothing is looked at."""
    raw = b"{"

    answers = [
        await _send(api, raw, secret="guess"),
        await _send(api, raw, age=600),
        await api.http.post("/webhooks/pharmacy", content=raw),
    ]

    assert [(401, "BAD_SIGNATURE")] * 3 == [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert [] == api.journeys.facts


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Greeting": {}},
        {"Verify": {"Code": "010"}, "Status": {"Code": "000"}},
        {"RxFill": {"FillStatus": "Perhaps"}},
        {"RxFill": {"FillStatus": "Dispensed", "Quantity": True}},
        {"Delivered": {"SignedByAdult": "yes"}},
        {"Verify": {"Code": "Ada Example's <prescription>"}},
    ],
)
async def test_a_malformed_message_is_422(api: Api, body: Any) -> None:
    """No message, two messages, wrong types, prose for a code: refused and not quoted."""
    answer = await _tell(api, body)

    assert (422, "MALFORMED") == (answer.status_code, answer.json()["code"])
    assert "Ada" not in answer.text
    assert [] == api.journeys.facts


@pytest.mark.parametrize("header", [{"MessageID": "a b"}, {"SentTime": "2026-01-14T16:00:00"}, {"SentTime": "now"}])
async def test_a_malformed_header_is_422(api: Api, header: dict[str, str]) -> None:
    """Ids are ids and times have zones."""
    assert 422 == (await _tell(api, {"Verify": {"Code": "010"}}, **header)).status_code


async def test_a_message_about_nothing_of_ours_is_404(api: Api) -> None:
    """A reference that is no key of ours, and one of a journey that we never had."""
    foreign = await _tell(api, {"Verify": {"Code": "010"}}, related="rx-1")
    api.journeys.error = NotRunningError()
    unknown = await _tell(api, {"Verify": {"Code": "010"}}, related=f"{uuid4()}.31.new_rx")

    assert [(404, "UNKNOWN_JOURNEY")] * 2 == [(a.status_code, a.json()["code"]) for a in (foreign, unknown)]


@pytest.mark.parametrize(("closed", "expected"), [(True, (404, "JOURNEY_CLOSED")), (False, (503, "UNAVAILABLE"))])
async def test_a_journey_that_does_not_run_hears_later_or_never(
    api: Api, *, closed: bool, expected: tuple[int, str]
) -> None:
    """One that is being brought back is told when the pharmacy repeats itself; a closed one is for a person."""
    api.journeys.error = NotRunningError()
    api.lists.rows[api.journey_id] = _summary(closed=closed)

    answer = await _tell(api, {"Delivered": {"SignedByAdult": True}})

    assert expected == (answer.status_code, answer.json()["code"])


async def test_without_temporal_the_pharmacy_repeats_itself(api: Api) -> None:
    """503: nothing was taken, so the pharmacy sends it again."""
    api.journeys.error = OutcomeUnknownError()

    answer = await _tell(api, {"Delivered": {"SignedByAdult": True}})

    assert (503, "5") == (answer.status_code, answer.headers["retry-after"])
