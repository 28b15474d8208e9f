"""What a journey is told and what it answers: commands, facts, events, obligations, decisions.

Commands are imperative and may be refused. Facts come from outside and are never refused (architecture D5). Events
are past tense, and their stored type, once written, is never renamed (I7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from domain.codes import Code
from domain.effects import EffectRequest
from domain.envelope import Actor, Role, Sensitivity
from domain.protocols import Protocol
from domain.values import Value

CLINICIANS = frozenset({Role.THERAPIST, Role.PRESCRIBER, Role.ON_CALL, Role.MEDICAL_DIRECTOR})


class Command(Value):
    """A request to a journey. ``name`` is its update's name and its API route; ``roles`` who may send it."""

    name: ClassVar[str]
    roles: ClassVar[frozenset[Role]]

    def __init_subclass__(cls, *, name: str, by: frozenset[Role] | set[Role], **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        cls.roles = frozenset(by)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Swallow the class keywords above; pydantic passes them on."""


class Fact(Command, name="fact", by={Role.OUTSIDE}):
    """Something an outside system reports. It has happened: it is recorded, whatever we think of it."""

    def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(name=name, by={Role.OUTSIDE}, **kwargs)


class Event(Value):
    """Something that happened. ``type`` is the stored type with its version."""

    type: ClassVar[str]
    sensitivity: ClassVar[Sensitivity]

    def __init_subclass__(cls, *, type: str, sensitivity: Sensitivity = Sensitivity.NORMAL, **kwargs: Any) -> None:  # noqa: A002
        super().__init_subclass__(**kwargs)
        cls.type = type
        cls.sensitivity = sensitivity

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Swallow the class keywords above; pydantic passes them on."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The part of an event's header that the state may depend on."""

    sequence: int
    occurred_at: datetime
    recorded_at: datetime
    command_id: UUID
    subject: str
    role: Role


def is_newest(known_at: datetime | None, stamp: Stamp) -> bool:
    """Whether what this event says happened no earlier than what is known: late entries never hide newer facts."""
    return known_at is None or stamp.occurred_at >= known_at


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may look at besides the state: who asks, when it happened, when it is now, under which rules."""

    command_id: UUID
    actor: Actor
    now: datetime
    at: datetime
    policy: Protocol
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """You cannot do that now. ``message`` says what to do instead, and holds nothing about the patient."""

    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a command. A blocked safety gate is both: events to keep, and a refusal (architecture D6)."""

    events: tuple[Event, ...] = ()
    refusal: Refusal | None = None


def accept(*events: Event) -> Decision:
    return Decision(events=events)


def refuse(code: Code, message: str, *events: Event) -> Decision:
    return Decision(events=events, refusal=Refusal(code, message))


class IfLate(StrEnum):
    """What becomes of an obligation that could not be met in its time (architecture D2)."""

    DO = "do"
    MISS = "record_as_missed"
    ASK = "ask_a_person"


class Task(Value):
    """A person owes this. Goes to the worklist; overdue ones are recorded."""

    key: str
    code: str
    owner: Role
    due_at: datetime


class Effect(Value):
    """We owe the outside this. One in flight per lane; safety lanes first."""

    key: str
    lane: str
    due_at: datetime
    expires_at: datetime | None = None
    if_late: IfLate = IfLate.DO
    request: EffectRequest


class Clock(Value):
    """At this moment something follows by itself (an eligibility expires): the journey is woken to look."""

    key: str
    due_at: datetime


Obligation = Task | Effect | Clock


class HistoryCorruptError(Exception):
    """An event that cannot follow this state. A bug or a damaged log: stop, keep everything, and look."""
