"""A mail provider: a real SMTP server, and a careful sender's one question: was this Message-ID accepted."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from outside.faults import Faults, Mode, System, unreliable_router
from outside.once import Once

TRY_AGAIN = "451 4.3.0 Fault ordered: try again later"
ACCEPTED = "250 2.0.0 Accepted"
NO_MESSAGE_ID = "550 5.6.0 A Message-ID header is required"


class StoredMessage(BaseModel):
    message_id: str
    sender: str
    to: list[str]
    subject: str
    body: str


class Mailbox:
    """The messages accepted so far, and the SMTP conversation that brings them."""

    def __init__(self, faults: Faults) -> None:
        self.messages: Once[StoredMessage] = Once()
        self._faults = faults

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        """Answer the end of one message: 250 accepted, 451 try again, 550 never."""
        message = read_message(envelope)
        if message is None:
            return NO_MESSAGE_ID
        fault = self._faults.take(System.MAIL)
        if fault is not None and fault.mode is Mode.ERROR:
            return TRY_AGAIN
        # A repeated Message-ID is the same message, whatever its bytes: that is how mail systems de-duplicate.
        self.messages.answer(message.message_id, message.message_id, lambda: message)
        if fault is not None and fault.mode is Mode.DROP_ACK:
            return TRY_AGAIN
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        return ACCEPTED


def read_message(envelope: Envelope) -> StoredMessage | None:
    """Read the message in an SMTP envelope; None without a Message-ID."""
    parsed = message_from_bytes(bytes(envelope.original_content or b""), _class=EmailMessage, policy=default)
    message_id = bare(str(parsed.get("Message-ID", "")))
    if not message_id:
        return None
    text = parsed.get_body(("plain", "html"))
    return StoredMessage(
        message_id=message_id,
        sender=envelope.mail_from or "",
        to=list(envelope.rcpt_tos),
        subject=str(parsed.get("Subject", "")),
        body=str(text.get_content()) if text is not None else "",
    )


def bare(message_id: str) -> str:
    """Strip a Message-ID of its angle brackets."""
    return message_id.strip().removeprefix("<").removesuffix(">")


async def serve_smtp(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """Start the SMTP server on the running loop. Raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(mailbox, hostname="mail.example.org", loop=loop, enable_SMTPUTF8=True), host, port
    )


def client_routes(mailbox: Mailbox, faults: Faults) -> APIRouter:
    router = unreliable_router(System.MAIL, faults)

    @router.get("/messages/{message_id:path}")
    async def look_up(message_id: str) -> dict[str, str]:
        """Whether this Message-ID was accepted, with or without angle brackets; 404 if not."""
        entry = mailbox.messages.get(bare(message_id))
        if entry is None:
            raise HTTPException(404, "No message with this Message-ID was accepted.")
        return {"message_id": entry.answer.message_id, "status": "accepted"}

    return router


def control_routes(mailbox: Mailbox) -> APIRouter:
    router = APIRouter(prefix="/mail")

    @router.get("/messages")
    async def messages() -> list[dict[str, Any]]:
        """Every accepted message with its content, for tests, and how often it came."""
        return [{**e.answer.model_dump(), "received": e.received} for _, e in mailbox.messages]

    return router
