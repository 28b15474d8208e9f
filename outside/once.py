"""What an honest idempotent system keeps: one answer per key, and the count that proves it acted once.

A duplicate is normal weather on a network. Every simulated system asks this one class whether a request is new, so
the promise "at most once" is measured in one place (``GET /control/seen``) instead of being claimed in four.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class KeyReusedError(Exception):
    """An idempotency key came back with another request: the sender derives its keys wrongly."""


@dataclass
class Entry(Generic[Answer]):
    """One idempotency key: what was asked under it, what was answered, and how often it was asked."""

    request: Any
    answer: Answer
    received: int = 1


class Once(Generic[Answer]):
    """The answers given so far, by idempotency key, in the order they were first given.

    Nothing here awaits: on one event loop, asking and acting are one step, and two equal requests cannot both be new.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry[Answer]] = {}
        self._effects: Counter[str] = Counter()

    def answer(self, key: str, request: Any, act: Callable[[], Answer]) -> tuple[Answer, bool]:
        """Give the answer for ``key`` and whether it is new; ``act`` runs only for a new key.

        Raises KeyReusedError when the key is known with another request. Whatever ``act`` raises leaves no trace.
        """
        if (entry := self._entries.get(key)) is None:
            answer = act()
            self._effects[key] += 1
            self._entries[key] = Entry(request=request, answer=answer)
            return answer, True
        entry.received += 1
        if entry.request != request:
            raise KeyReusedError(key)
        return entry.answer, False

    def get(self, key: str) -> Entry[Answer] | None:
        return self._entries.get(key)

    def __iter__(self) -> Iterator[tuple[str, Entry[Answer]]]:
        return iter(self._entries.items())

    def seen(self) -> dict[str, dict[str, int]]:
        """``{key: {"received": times, "took_effect": times}}``."""
        return {key: {"received": e.received, "took_effect": self._effects[key]} for key, e in self._entries.items()}
