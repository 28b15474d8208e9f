"""Tells a story to a running stack: as each role, through the HTTP API and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx2

from stack.stories.clock import StoryClock

Json = dict[str, Any]
Progress = Callable[[str, datetime], None]
PATIENCE_SECONDS = 30.0


class StoryError(Exception):
    """The story did not go as it is written: the API answered otherwise. Says where, and what it answered."""


@dataclass(frozen=True)
class Fact:
    """One statement of the worked case, and whether it held."""

    text: str
    holds: bool


@dataclass
class Teller:
    """A storyteller: knows the day, speaks as each role, remembers what was to be true."""

    api: httpx2.AsyncClient
    outside: httpx2.AsyncClient
    tokens: dict[str, str]
    clock: StoryClock
    day_zero: date
    zone: ZoneInfo
    progress: Progress
    facts: list[Fact] = field(default_factory=list)
    booked: dict[str, str] = field(default_factory=dict)
    journey_id: UUID | None = None
    commands: int = 0
    _at: datetime | None = None

    def day(self, number: int, clock: str = "09:00", minutes: int = 0) -> datetime:
        """Day ``number`` from the referral, at a local time, plus minutes."""
        hour, minute = map(int, clock.split(":"))
        local = datetime.combine(self.day_zero + timedelta(days=number), time(hour, minute), self.zone)
        return local + timedelta(minutes=minutes)

    def day_of(self, moment: str) -> int:
        """The day of the case on which something happened."""
        return (datetime.fromisoformat(moment).astimezone(self.zone).date() - self.day_zero).days

    async def at(self, moment: datetime, what: str) -> None:
        """Go on to a moment of the story. What is told from here on happened then."""
        self.progress(what, moment)
        if self.journey_id is not None:
            await self.clock.wind_to(self.journey_id, moment)
        self._at = moment

    async def refer(self, role: str, **body: Any) -> Json:
        """Open the journey."""
        headers = {"Clock-Shift-Seconds": str(self.clock.shift_seconds)}
        answer = await self._post(role, "/journeys", body, headers)
        self.journey_id = UUID(answer["journey_id"])
        return answer

    async def tell(self, role: str, command: str, **body: Any) -> Json:
        """Send a command that is to be accepted; its answer."""
        return await self._post(role, f"/journeys/{self.journey_id}/commands/{command}", body)

    async def refused(self, code: str, role: str, command: str, **body: Any) -> bool:
        """Send a command that is to be refused; whether it was, with exactly this code."""
        response = await self._send(role, f"/journeys/{self.journey_id}/commands/{command}", body)
        return bool(response.status_code == httpx2.codes.CONFLICT and response.json().get("code") == code)

    def check(self, text: str, holds: bool) -> None:
        """Note a fact of the worked case."""
        self.facts.append(Fact(text, holds))

    async def read(self, role: str, path: str = "") -> Any:
        """Read something of the journey."""
        response = await self.api.get(f"/journeys/{self.journey_id}{path}", headers=self._authority(role))
        if response.status_code != httpx2.codes.OK:
            raise StoryError(f"reading {path or 'the journey'} as {role}: HTTP {response.status_code}")
        return response.json()

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something that arrives by itself: an answer from the pharmacy, a written record."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not await condition():
            if asyncio.get_running_loop().time() > deadline:
                raise StoryError(f"waited {PATIENCE_SECONDS:g} s in vain for: {what}")
            await asyncio.sleep(0.02)

    async def pharmacy(self, action: str, **body: Any) -> None:
        """Let the pharmacy fill or deliver: the story plays it, its messages come back as signed webhooks."""
        (await self.outside.post(f"/pharmacy/control/{action}", json=body)).raise_for_status()

    async def outside_seen(self) -> dict[str, dict[str, Json]]:
        """What each outside system saw, by idempotency key."""
        seen: dict[str, dict[str, Json]] = (await self.outside.get("/control/seen")).json()
        return seen

    async def newest_prescription_key(self, number: int) -> str:
        """The message id of this journey's n-th NewRx, as the pharmacy knows it."""
        keys = [key for key in (await self.outside_seen())["pharmacy"] if key.startswith(str(self.journey_id))]
        return sorted(keys, key=lambda key: int(key.split(".")[1]))[number - 1]

    async def happened(self, event_type: str, times: int = 1) -> bool:
        """Whether an event of this type is in the timeline, so many times."""
        timeline = await self.read("auditor", "/timeline")
        return sum(bool(event["type"] == event_type) for event in timeline["entries"]) >= times

    async def _post(self, role: str, path: str, body: Json, headers: Json | None = None) -> Json:
        response = await self._send(role, path, body, headers)
        if response.status_code not in {httpx2.codes.OK, httpx2.codes.CREATED}:
            problem = response.json()
            raise StoryError(
                f"{path.rsplit('/', 1)[-1]} as {role} on {self._at:%Y-%m-%d %H:%M}: HTTP {response.status_code} "
                f"{problem.get('code', '')} {problem.get('detail', '')} {problem.get('errors', '')}"
            )
        self.commands += 1
        answer: Json = response.json()
        return answer

    async def _send(self, role: str, path: str, body: Json, headers: Json | None = None) -> httpx2.Response:
        told = {"Idempotency-Key": str(uuid4()), **self._authority(role), **(headers or {})}
        if self._at is not None:
            told["Occurred-At"] = self._at.isoformat()
        return await self.api.post(path, json=body, headers=told)

    def _authority(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}
