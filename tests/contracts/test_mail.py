"""Mail: what it says, which is next to nothing, and what a relay's refusals mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiosmtpd.smtp import SMTP

from activities.messaging import Mail, Relay, compose
from activities.wire import OutsideUnavailableError
from domain.effects import EffectRejected, MessageTemplate
from runtime.http import http_client
from tests.contracts import requests
from tests.contracts.outside_world import Outside

KEY = "0193e6a0-0000-7000-8000-000000000001.7.reminder"
Refusing = Callable[[str], Awaitable[int]]
NEVER_SAID = (
    "ketamine",
    "psych",
    "therap",
    "treatment",
    "medic",
    "dose",
    "session",
    "prescri",
    "questionnaire",
    "clinic",
)


def relay(port: int = 25) -> Relay:
    """A relay on this machine."""
    return Relay(
        url=f"smtp://user:s3cret@127.0.0.1:{port}",
        sender="Care team <care@practice.example>",
        portal_url="https://portal.practice.example",
        timeout_seconds=2.0,
    )


@pytest.mark.parametrize("template", MessageTemplate)
def test_mail_says_nothing_about_care(template: MessageTemplate) -> None:
    """No template holds a word about what the patient is treated for, by whom or when."""
    message = compose(relay(), KEY, requests.mail(template=template))
    said = f"{message['Subject']} {message.get_content()}".lower()

    assert [] == [word for word in NEVER_SAID if word in said]
    assert "https://portal.practice.example" in said
    assert "a-1042" in said
    assert "988" in said


def test_message_id_is_the_key() -> None:
    """The Message-ID is the effect's key at the sender's domain, and is the same every time."""
    assert f"<{KEY}@practice.example>" == compose(relay(), KEY, requests.mail())["Message-ID"]


def test_relay_hides_its_password() -> None:
    """A relay in a log or a traceback does not show its URL."""
    assert "s3cret" not in repr(relay())


async def test_mail_arrives_as_written(outside: Outside) -> None:
    """The server has the mail with its recipient, subject and body."""
    here = Relay(f"smtp://127.0.0.1:{outside.smtp_port}", "care@practice.example", "https://p.example", 2.0)
    async with http_client(f"{outside.url}/mail", timeout_seconds=2) as client:
        await Mail(here, client).send(KEY, requests.mail())
    stored = (await outside.control.get("/mail/messages")).json()
    (found,) = [message for message in stored if message["message_id"] == f"{KEY}@practice.example"]

    assert (["zaphod@example.org"], "care@practice.example") == (found["to"], found["sender"])
    assert "You have a message" == found["subject"]


class Refuses:
    """An SMTP server that gives every recipient the same reply."""

    def __init__(self, reply: str) -> None:
        self._reply = reply

    async def handle_RCPT(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
        return self._reply


@pytest.fixture
async def refusing() -> AsyncIterator[Refusing]:
    """Start servers that refuse; each gives its port."""
    servers: list[asyncio.Server] = []
    loop = asyncio.get_running_loop()

    async def start(reply: str) -> int:
        server = await loop.create_server(lambda: SMTP(Refuses(reply), loop=loop), "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def attempt(port: int) -> object:
    """Send one mail through the server at ``port``."""
    here = Relay(f"smtp://127.0.0.1:{port}", "care@practice.example", "https://p.example", 2.0)
    async with http_client("http://127.0.0.1:9", timeout_seconds=1) as client:
        return await Mail(here, client).send(KEY, requests.mail())


async def test_unknown_recipient_is_rejected(refusing: Refusing) -> None:
    """A 5xx reply is for good: the address must be corrected by a person."""
    port = await refusing("550 5.1.1 zaphod does not live here")

    assert EffectRejected(code="smtp_550") == await attempt(port)


async def test_greylisting_is_an_outage(refusing: Refusing) -> None:
    """A 4xx reply is for now: raise, and come again."""
    port = await refusing("450 4.2.0 come back later, zaphod")

    with pytest.raises(OutsideUnavailableError, match="smtp_450") as caught:
        await attempt(port)
    assert "zaphod" not in str(caught.value)
