"""How the pharmacy tells its clients what happened: signed, repeated until heard, never lost quietly.

The signature covers a timestamp and the exact bytes, so a receiver can refuse forgeries and old recordings. That
timestamp is the only use of the real clock in this package; all clinical times come from requests.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import httpx2

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
ATTEMPTS_MAX = 120
TIMEOUT_SECONDS = 10.0


@dataclass
class Webhook:
    """One message to the client and what became of it. ``last_answer`` is an HTTP status or an exception's name."""

    message: dict[str, Any]
    state: Literal["pending", "delivered", "gave_up"] = "pending"
    attempts: int = 0
    last_answer: str | None = None
    body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.body = json.dumps(self.message, separators=(",", ":")).encode()

    @property
    def related(self) -> str:
        return str(self.message["Header"]["RelatesToMessageID"])


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """``v1=<hex HMAC-SHA256 of "<timestamp>." and the body>``."""
    return "v1=" + hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Webhooks:
    """Sends webhooks to one URL. Those about one prescription arrive in order; prescriptions never wait for others."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url
        self._secret = secret
        self._client = httpx2.AsyncClient(timeout=TIMEOUT_SECONDS)
        self._sent: list[Webhook] = []
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, related: str, sent_time: str, content: dict[str, Any]) -> str:
        """Start delivering ``content`` about the message ``related``; the new message's id."""
        message_id = str(uuid4())
        header = {"MessageID": message_id, "RelatesToMessageID": related, "SentTime": sent_time}
        webhook = Webhook({"Header": header, "Body": content})
        self._sent.append(webhook)
        task = asyncio.create_task(self._deliver(webhook))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return message_id

    def listing(self) -> list[dict[str, Any]]:
        """Every webhook in the order it was caused, with its delivery state."""
        return [
            {"message": w.message, "state": w.state, "attempts": w.attempts, "last_answer": w.last_answer}
            for w in self._sent
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _deliver(self, webhook: Webhook) -> None:
        async with self._lanes[webhook.related]:
            delay = FIRST_DELAY_SECONDS
            while not await self._attempt(webhook):
                if webhook.attempts >= ATTEMPTS_MAX:
                    webhook.state = "gave_up"
                    return
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY_SECONDS)
            webhook.state = "delivered"

    async def _attempt(self, webhook: Webhook) -> bool:
        """Whether the client took it: any 2xx. Everything else may pass, so everything else is tried again."""
        webhook.attempts += 1
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Pharmacy-Timestamp": timestamp,
            "X-Pharmacy-Signature": sign(self._secret, timestamp, webhook.body),
        }
        try:
            response = await self._client.post(self._url, content=webhook.body, headers=headers)
        except httpx2.HTTPError as e:
            webhook.last_answer = type(e).__name__
            return False
        webhook.last_answer = str(response.status_code)
        return response.is_success
