"""Tokens from the embedded identity provider, by password grant, for the people it enrolled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

from outside.identity import people, token_request


async def token(state_dir: Path, port: int, username: str) -> str:
    """An access token for one person. Raises KeyError for somebody who was not enrolled."""
    enrolled = {person.username: person for person in people(state_dir / "identity")}
    url, form = token_request(port, enrolled[username])
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(url, data=form)
        answer.raise_for_status()
        return str(answer.json()["access_token"])


async def all_tokens(state_dir: Path, port: int) -> dict[str, str]:
    """A token for everybody, by username."""
    names = [person.username for person in people(state_dir / "identity")]
    return dict(zip(names, await asyncio.gather(*(token(state_dir, port, name) for name in names)), strict=True))
