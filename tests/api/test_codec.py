"""The Temporal UI shows clinicians what a history holds, and every decode is logged."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import WorkflowSerializationContext

from domain.envelope import Role
from tests.api.conftest import UI, Api
from vault.codec import KEY_ID, JourneyCodec

LOCAL = {"Host": "localhost:8000"}
CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"Ada"')


async def _sealed(api: Api) -> Payload:
    codec = JourneyCodec(api.keys).with_context(WorkflowSerializationContext("default", f"journey/{api.journey_id}"))
    return (await codec.encode([CLEAR]))[0]


def _body(*payloads: Payload) -> Any:
    return json.loads(json_format.MessageToJson(Payloads(payloads=payloads)))


async def test_a_clinician_sees_what_a_payload_holds(api: Api, logged: io.StringIO) -> None:
    """Opened as proto3 JSON; who, where, how many and which key are logged, and nothing of the content."""
    sealed = await _sealed(api)

    answer = await api.http.post(
        "/codec/decode?preserveStorageRefs=true",
        json=_body(sealed, sealed),
        headers=api.headers(Role.PRESCRIBER, key="", **{"X-Namespace": "alliance"}),
    )

    assert (200, _body(CLEAR, CLEAR)) == (answer.status_code, answer.json())
    [line] = [json.loads(text) for text in logged.getvalue().splitlines() if "codec_decoded" in text]
    assert ("subject-prescriber", "alliance", 2, str(api.keys.key.key_id)) == (
        line["subject"],
        line["namespace"],
        line["count"],
        line["key_id"],
    )
    assert "Ada" not in logged.getvalue()


async def test_what_does_not_open_passes_through_unchanged(api: Api) -> None:
    """Another encoding, an erased patient's payload and a broken one come back as they were, beside those that open."""
    sealed = await _sealed(api)
    erased, broken = Payload.FromString(sealed.SerializeToString()), Payload.FromString(sealed.SerializeToString())
    erased.metadata[KEY_ID] = str(uuid4()).encode()
    broken.data = broken.data[:-1] + b"?"

    answer = await api.http.post(
        "/codec/decode", json=_body(CLEAR, erased, broken, sealed), headers=api.headers(Role.AUDITOR, key="")
    )

    assert _body(CLEAR, erased, broken, CLEAR) == answer.json()


@pytest.mark.parametrize("body", [b"", b"7", b"{", b'{"payloads": 7}', b'{"payloads": [{"data": 7}]}', b"\xff"])
async def test_what_is_no_payload_is_422(api: Api, body: bytes) -> None:
    """Anything but proto3 JSON is malformed."""
    answer = await api.http.post("/codec/decode", content=body, headers=api.headers(Role.PRESCRIBER, key=""))

    assert (422, "MALFORMED") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(("role", "expected"), [(Role.COORDINATOR, 403), (Role.PATIENT, 403), (Role.ON_CALL, 200)])
async def test_only_clinicians_and_auditors_decode(api: Api, role: Role, expected: int) -> None:
    """Who sees no content elsewhere sees none here."""
    answer = await api.http.post("/codec/decode", json={"payloads": []}, headers=api.headers(role, key=""))

    assert expected == answer.status_code


@pytest.mark.parametrize(("simulated", "expected"), [(True, 200), (False, 401)])
async def test_no_token_is_needed_in_simulated_mode_only(api: Api, *, simulated: bool, expected: int) -> None:
    """The UI passes tokens over https only, which a demo does not have. A bad token is refused there too."""
    settings = api.ports.settings.model_copy(update={"simulated": simulated})
    api.app.state.ports = replace(api.ports, settings=settings)

    none = await api.http.post("/codec/decode", json={"payloads": []}, headers=LOCAL)
    bad = await api.http.post("/codec/decode", json={"payloads": []}, headers=LOCAL | {"Authorization": "Bearer x"})

    assert (expected, 401) == (none.status_code, bad.status_code)


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        (200, {"Host": "127.0.0.1:8000"}),
        (200, {"Host": "[::1]:8000", "Origin": UI}),
        (200, {"Host": "LOCALHOST"}),
        (403, {"Host": "evil.example:8000"}),
        (403, {"Host": "localhost.evil.example"}),
        (403, {"Host": "localhost:8000@evil.example"}),
        (403, {"Host": "127.0.0.1:8000", "Origin": "https://evil.example"}),
        (403, {"Host": "127.0.0.1:8000", "Origin": "null"}),
    ],
)
async def test_without_a_token_only_this_machine_is_answered(api: Api, expected: int, headers: dict[str, str]) -> None:
    """A foreign page in a local browser comes with its own origin or, after a DNS rebinding, with its own host."""
    api.app.state.ports = replace(api.ports, settings=api.ports.settings.model_copy(update={"simulated": True}))

    answer = await api.http.post("/codec/decode", json={"payloads": []}, headers=headers)

    assert expected == answer.status_code


async def test_with_a_token_any_host_is_answered(api: Api) -> None:
    """In simulated mode too: behind a proxy the host is another one, and the token says who asks."""
    api.app.state.ports = replace(api.ports, settings=api.ports.settings.model_copy(update={"simulated": True}))

    answer = await api.http.post("/codec/decode", json={"payloads": []}, headers=api.headers(Role.AUDITOR, key=""))

    assert 200 == answer.status_code


async def test_the_ui_may_ask_and_no_other_origin(api: Api) -> None:
    """The preflight allows the UI's origin, POST, and the headers of the contract; nothing for anybody else."""
    asked = "content-type,x-namespace,authorization,authorization-extras"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}

    ours = await api.http.options("/codec/decode", headers={"Origin": UI} | preflight)
    foreign = await api.http.options("/codec/decode", headers={"Origin": "https://evil.example"} | preflight)

    assert (200, UI) == (ours.status_code, ours.headers["access-control-allow-origin"])
    assert "Origin" in ours.headers["vary"]
    allowed = {name.strip().lower() for name in ours.headers["access-control-allow-headers"].split(",")}
    assert set(asked.split(",")) <= allowed
    assert "POST" == ours.headers["access-control-allow-methods"]
    assert (400, None) == (foreign.status_code, foreign.headers.get("access-control-allow-origin"))


async def test_the_ui_can_read_refusals_too(api: Api) -> None:
    """Without the origin header on a 401 the browser would only say that something failed."""
    answer = await api.http.post("/codec/decode", json={"payloads": []}, headers={"Origin": UI})

    assert (401, UI) == (answer.status_code, answer.headers["access-control-allow-origin"])


async def test_no_other_route_is_open_to_browsers_elsewhere(api: Api) -> None:
    """CORS ends at the codec."""
    answer = await api.http.get("/healthz", headers={"Origin": UI})

    assert "access-control-allow-origin" not in answer.headers
    assert base64.b64encode(b"Ada").decode() not in answer.text
