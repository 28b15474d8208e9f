"""Sends the few mails a patient may get, none of which says anything about care (domain.md §8.2.10).

Mail has no idempotency key but its Message-ID, which is made of the effect's key; whether a message was taken is
asked of the provider's status API.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import httpx2
from temporalio import activity

from activities.effects import Claims, perform
from activities.wire import OutsideUnavailableError, Wire
from domain.effects import (
    EffectCall,
    EffectOutcome,
    EffectRejected,
    EffectResult,
    MessageAccepted,
    MessageTemplate,
    SendMessage,
)
from runtime.names import SEND_MESSAGE

_SUBJECTS: Final = {
    MessageTemplate.PORTAL_INVITATION: "You are invited to your portal",
    MessageTemplate.SESSION_REMINDER: "A reminder about your appointment",
    MessageTemplate.QUESTIONNAIRE_REMINDER: "A reminder: something is waiting for you",
    MessageTemplate.NEW_MESSAGE: "You have a message",
}

_LINES: Final = {
    MessageTemplate.PORTAL_INVITATION: "Your portal is ready. Sign in to get started:",
    MessageTemplate.SESSION_REMINDER: "You have an appointment coming up. Sign in to see when:",
    MessageTemplate.QUESTIONNAIRE_REMINDER: "There is something to fill in for you. Sign in to see it:",
    MessageTemplate.NEW_MESSAGE: "You have a message. Sign in to read it:",
}

# One plain address: anything that could add a header, a recipient or a command is a slip or an attack.
_MAILBOX = re.compile(r"[^\s<>@,;:\"()\\]+@[^\s<>@,;:\"()\\]+")

_FOOT: Final = "Nobody reads answers to this address. In an emergency call 911; in a crisis call or text 988."


@dataclass(frozen=True)
class Relay:
    """The mail relay: ``smtp://[user:password@]host:port`` (STARTTLS when offered) or ``smtps://…`` (TLS first)."""

    url: str = field(repr=False)
    sender: str
    portal_url: str
    timeout_seconds: float

    def message_id(self, key: str) -> str:
        """``key@domain of the sender``, without angle brackets."""
        return f"{key}@{parseaddr(self.sender)[1].rpartition('@')[2]}"


def compose(relay: Relay, key: str, request: SendMessage) -> EmailMessage:
    """Write the mail. Its reference lets the practice find the matter when the patient calls."""
    message = EmailMessage()
    message["From"] = relay.sender
    message["To"] = request.to
    message["Subject"] = _SUBJECTS[request.template]
    message["Message-ID"] = f"<{relay.message_id(key)}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = (_LINES[request.template], relay.portal_url, "", f"Reference: {request.reference}", "", _FOOT)
    message.set_content("\n".join(lines) + "\n")
    return message


class Mail:
    """An SMTP relay, and the provider's status API to ask it with."""

    def __init__(self, relay: Relay, status_client: httpx2.AsyncClient) -> None:
        self._relay = relay
        self._wire = Wire("mail", status_client)

    async def send(self, key: str, request: SendMessage) -> EffectOutcome:
        """Hand the mail to the relay. A 5xx reply is a refusal for good, any other trouble an outage."""
        if not _MAILBOX.fullmatch(request.to):
            return EffectRejected(code="address_malformed")
        where = urlsplit(self._relay.url)
        try:
            async with asyncio.timeout(self._relay.timeout_seconds):
                await aiosmtplib.send(
                    compose(self._relay, key, request),
                    hostname=where.hostname,
                    port=where.port,
                    username=unquote(where.username) if where.username else None,
                    password=unquote(where.password) if where.password else None,
                    use_tls=where.scheme == "smtps",
                    timeout=self._relay.timeout_seconds,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            return self._refused(error.recipients[0].code)
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            return self._refused(error.code)
        except TimeoutError:  # aiosmtplib's own are kinds of it
            raise OutsideUnavailableError("mail", "timeout") from None
        except (aiosmtplib.SMTPException, OSError):
            raise OutsideUnavailableError("mail", "no_connection") from None
        return MessageAccepted(message_id=self._relay.message_id(key))

    async def lookup(self, key: str, request: SendMessage) -> EffectOutcome | None:
        """Ask whether the provider took it."""
        del request
        message_id = self._relay.message_id(key)
        found = await self._wire.get("messages", message_id)
        return None if found is None else MessageAccepted(message_id=message_id)

    def _refused(self, code: int) -> EffectRejected:
        if 500 <= code < 600:
            return EffectRejected(code=f"smtp_{code}")
        raise OutsideUnavailableError("mail", f"smtp_{code}") from None


class MessagingActivities:
    """``send_message``."""

    def __init__(self, mail: Mail, claims: Claims) -> None:
        self._mail = mail
        self._claims = claims

    @activity.defn(name=SEND_MESSAGE)
    async def send_message(self, call: EffectCall) -> EffectResult:
        """Send one mail once."""
        claimed = await self._claims.claim(call.key, call.journey_id)
        return await perform(call, SendMessage, self._mail, claimed_before=claimed)
