"""Lets the Temporal UI show a clinician what a history holds: decodes payloads, and logs every time it does.

The contract is the UI's: proto3 JSON in and out, CORS for its origins, and a payload that does not open passes
through unchanged (an erased patient's for ever). There is no encoding here: nobody writes a history by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Header, Request, Response
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from api.access import BEARER, PortsOf, acting_as, authenticated, ports_of
from api.bodies import read_body
from api.problems import ProblemError, documented, malformed
from domain.envelope import Actor, Role
from domain.journey.messages import CLINICIANS
from vault.codec import ENCODING, KEY_ID, JourneyCodec
from vault.errors import VaultError

log = structlog.get_logger(__name__)

PATH: Final = "/codec/decode"
BYTES_MAX: Final = 8 * 1024 * 1024
DECODERS: Final = CLINICIANS | {Role.AUDITOR}
_LOOPBACK: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_SOMEBODY: Final = Actor(subject="simulated", role=Role.AUDITOR)

router = APIRouter(tags=["operations"])


async def _decoder(request: Request) -> Actor:
    """Who asks. In simulated mode the UI need not pass a token, for it does so over https only."""
    ports = ports_of(request)
    authorization = request.headers.get("authorization")
    if ports.settings.simulated and authorization is None:
        _check_local(request, ports.settings.codec_allowed_origins)
        return _SOMEBODY
    bearer = await BEARER(request)
    return await acting_as(DECODERS)(await authenticated(ports, bearer))


def _check_local(request: Request, origins: tuple[str, ...]) -> None:
    """Raise ProblemError 403 for what may be a foreign page in a local browser, under a name that points here."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if not _LOOPBACK.fullmatch(host) or (origin is not None and origin not in origins):
        detail = (
            "Without a token this answers only to the Temporal UI on this machine. Send a token, or ask from there."
        )
        raise ProblemError(403, "NOT_LOCAL", detail)


@router.post(
    PATH,
    responses=documented(401, 403, 422, 503),
    summary="Decode payloads for the Temporal UI",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def decode(
    request: Request,
    ports: PortsOf,
    actor: Annotated[Actor, Depends(_decoder)],
    namespace: Annotated[str, Header(alias="X-Namespace", max_length=255)] = "",
) -> Response:
    """Open ``{"payloads": [...]}`` as far as it opens."""
    asked = Payloads()
    try:
        json_format.Parse(await read_body(request, BYTES_MAX), asked)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        message = 'Input should be {"payloads": [...]} as proto3 JSON'
        raise malformed([{"loc": (), "type": "payloads", "msg": message}], "body") from None
    codec = JourneyCodec(ports.keys)
    opened = Payloads(payloads=[await _open(codec, payload) for payload in asked.payloads])
    for key_id, count in _keys(asked).items():
        log.info(
            "codec_decoded", subject=actor.subject, role=actor.role, namespace=namespace, key_id=key_id, count=count
        )
    return Response(json_format.MessageToJson(opened), media_type="application/json")


async def _open(codec: JourneyCodec, payload: Payload) -> Payload:
    try:
        return (await codec.decode([payload]))[0]
    except VaultError as error:
        log.warning("payload_not_opened", code=type(error).__name__)
        return payload


def _keys(asked: Payloads) -> Counter[str]:
    """Count payloads by the key that seals them; those that are not sealed under ``none``."""
    sealed = (payload.metadata.get("encoding") == ENCODING for payload in asked.payloads)
    return Counter(
        payload.metadata[KEY_ID].decode("ascii", "replace")[:64] if is_sealed else "none"
        for payload, is_sealed in zip(asked.payloads, sealed, strict=True)
    )


class CodecCors:
    """CORS for the codec alone: its callers are browsers at another origin, and nobody else's are."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["content-type", "x-namespace", "authorization", "authorization-extras"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = self._cors if scope["type"] == "http" and scope["path"] == PATH else self._app
        await target(scope, receive, send)
