"""The only place where a care journey says yes or no.

Three functions (architecture D2): ``decide`` answers a command with events or a refusal, ``evolve`` folds an event
into the state, ``due`` says what is owed. Each dispatches to the phase that owns the message; what cuts across phases
is in ``gates``. All of them are pure: time, ids and rules come in as arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import Any, get_args
from uuid import UUID

from pydantic import ValidationError

from domain import protocols
from domain.codes import Code
from domain.envelope import (
    CommandEnvelope,
    Content,
    EventRecord,
    FactEnvelope,
    Header,
    JourneySummary,
    Purpose,
    Role,
    WorklistItem,
)
from domain.journey import (
    assessment,
    clocks,
    consent,
    course,
    dispensing,
    dosing,
    eligibility,
    follow_up,
    holds,
    observations,
    onboarding,
    outbox,
    outcomes,
    owes,
    prescription,
    referral,
    release,
    safety,
    scheduling,
    therapy,
)
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Event,
    Fact,
    HistoryCorruptError,
    Obligation,
    Refusal,
    Stamp,
    accept,
    refuse,
)
from domain.journey.referral import JourneyOpened, ReferralSubmitted, SubmitReferral
from domain.journey.state import Journey, NotOpened, State
from domain.journey.summary import summarise, worklist
from domain.protocols import Protocol
from domain.values import Json


class Tick(Command, name="tick", by={Role.SYSTEM}):
    """Time has passed. Asks for nothing; what has become true by itself is recorded."""


PHASES: tuple[ModuleType, ...] = (
    safety,
    holds,
    referral,
    onboarding,
    consent,
    assessment,
    observations,
    eligibility,
    prescription,
    dispensing,
    scheduling,
    therapy,
    dosing,
    release,
    follow_up,
    course,
    outbox,
)
FOLLOWING: tuple[ModuleType, ...] = (*PHASES, outcomes, clocks)
"""The phases, and those that only ever follow from others."""


def _members(union: Any) -> tuple[Any, ...]:
    return get_args(union) or (union,)


_DECIDERS: dict[type[Command], Callable[[Journey, Any, Context], Decision]] = {
    command: phase.decide for phase in PHASES for command in _members(phase.Commands)
}
_EVOLVERS: dict[type[Event], Callable[[Journey, Any, Stamp], Journey]] = {
    event: phase.evolve for phase in FOLLOWING for event in _members(phase.Events)
}
_ALL_MESSAGES: tuple[type[Command], ...] = (SubmitReferral, Tick, *_DECIDERS)
_ALL_EVENTS: tuple[type[Event], ...] = (JourneyOpened, ReferralSubmitted, *_EVOLVERS)
MESSAGES = {message.name: message for message in _ALL_MESSAGES}
"""Every message by name: commands, facts, and what the system tells itself."""

COMMANDS: dict[str, type[Command]] = {
    name: message
    for name, message in MESSAGES.items()
    if not issubclass(message, Fact) and message.roles != {Role.SYSTEM}
}
"""What a person may send, by update name: the API's routes come from here."""

FACTS: dict[str, type[Fact]] = {n: m for n, m in MESSAGES.items() if issubclass(m, Fact)}
"""What an outside system may report, by signal name."""

EVENTS = {event.type: event for event in _ALL_EVENTS}
"""Every stored type this build writes."""

Upcast = Callable[[Json], tuple[str, Json]]
UPCASTS: dict[str, Upcast] = {}
"""For each stored type that is no longer written: how to read it as the type that is (I7)."""


AFTER_THE_END = (Fact, outbox.RecordEffect, outbox.ExpireEffect, outbox.SettleRejection)
"""What a closed journey still takes: reports from outside, and the end of what it still owed to the outside."""


# --- deciding ----------------------------------------------------------------------------------------------------


def policy_for(state: State, command: Command) -> Protocol | None:
    """The rules a command is judged under: the journey's own version, or the newest for one that is to open."""
    if isinstance(state, Journey):
        return protocols.protocol(state.policy_version)
    if isinstance(command, SubmitReferral):
        return protocols.newest(command.protocol)
    return None


def decide(state: State, command: Command, ctx: Context) -> Decision:
    """Answer a command. Deterministic; never raises for anything a user can do."""
    if ctx.actor.role not in command.roles:
        return refuse(Code.ROLE, f"this is done by: {', '.join(sorted(command.roles))}")
    if ctx.at > ctx.now:
        return refuse(Code.OCCURRED_IN_FUTURE, "occurred_at lies in the future; leave it out to mean now")
    if isinstance(state, NotOpened):
        if not isinstance(command, SubmitReferral):
            return refuse(Code.JOURNEY_NOT_OPEN, "submit a referral first")
        return _with_consequences(state, command, referral.open_journey(state, command, ctx), ctx)
    if isinstance(command, SubmitReferral):
        return refuse(Code.JOURNEY_ALREADY_OPEN, "this journey has its referral")
    if not state.is_open and not isinstance(command, AFTER_THE_END):
        return refuse(Code.JOURNEY_CLOSED, "this journey is closed; a new referral opens a new one")
    if not _takes_part(state, command, ctx):
        return refuse(Code.NOT_A_PARTICIPANT, "you are not on this patient's care team")
    decided = accept() if isinstance(command, Tick) else _DECIDERS[type(command)](state, command, ctx)
    return _with_consequences(state, command, decided, ctx)


def _takes_part(journey: Journey, command: Command, ctx: Context) -> bool:
    """A patient acts on their own journey; a therapist and a prescriber on those they are named in."""
    subject, prescriber = ctx.actor.subject, journey.care_team.prescriber
    match ctx.actor.role:
        case Role.PATIENT:
            first_login = isinstance(command, onboarding.ActivatePortal) and journey.patient.subject is None
            return first_login or journey.patient.subject == subject
        case Role.THERAPIST:
            return journey.care_team.therapist.subject == subject
        case Role.PRESCRIBER:
            return prescriber is not None and prescriber.subject == subject
        case _:
            return True


def _with_consequences(state: State, command: Command, decided: Decision, ctx: Context) -> Decision:
    """Add what follows by itself: a safety case, a completed onboarding, a response, a breach."""
    events = decided.events
    after = _apply_all(state, events, ctx)
    if isinstance(after, Journey) and (decided.refusal is None or events):
        # Also beside a refusal that is kept: a release that is refused for new suicidal ideation opens the case.
        urgent = safety.open_case(after, command, ctx)
        events += urgent
        after = _apply_all(after, urgent, ctx)
    while isinstance(after, Journey) and after.is_open:
        following = _following(after, ctx)
        if not following or (decided.refusal is not None and not decided.events):
            break
        events += following
        after = _apply_all(after, following, ctx)
    return Decision(events=events, refusal=decided.refusal)


def _following(journey: Journey, ctx: Context) -> tuple[Event, ...]:
    return (
        *onboarding.react(journey, ctx.policy),
        *eligibility.react(journey, ctx.now),
        *outcomes.react(journey, ctx.policy),
        *clocks.react(journey, due(journey), ctx.now),
    )


def _apply_all(state: State, events: Iterable[Event], ctx: Context) -> State:
    for event in events:
        stamp = Stamp(
            sequence=state.version + 1,
            occurred_at=ctx.at,
            recorded_at=ctx.now,
            command_id=ctx.command_id,
            subject=ctx.actor.subject,
            role=ctx.actor.role,
        )
        state = apply(state, event, stamp)
    return state


def parse_command(envelope: CommandEnvelope | FactEnvelope) -> Command:
    """The command inside an envelope. Raises KeyError for an unknown name, ValidationError for a malformed body."""
    return MESSAGES[envelope.name].model_validate_json(json.dumps(envelope.body))


@dataclass(frozen=True, slots=True)
class Source:
    """What a recorded event owes to its request and to its patient's key, and where its ids come from."""

    purpose: Purpose
    request_digest: str
    key_version: int
    draw_id: Callable[[], UUID]


# --- recording ---------------------------------------------------------------------------------------------------


def record(state: State, events: tuple[Event, ...], ctx: Context, source: Source) -> tuple[EventRecord, ...]:
    """The events as they go into the log: numbered, stamped, attributed."""
    return tuple(
        EventRecord(
            header=Header(
                event_id=source.draw_id(),
                journey_id=state.journey_id,
                sequence=state.version + offset,
                type=event.type,
                occurred_at=ctx.at,
                recorded_at=ctx.now,
                actor=ctx.actor,
                purpose=source.purpose,
                command_id=ctx.command_id,
                policy=ctx.policy.ref,
                sensitivity=event.sensitivity,
                key_version=source.key_version,
            ),
            content=Content(data=event.model_dump(mode="json"), request_digest=source.request_digest),
        )
        for offset, event in enumerate(events, start=1)
    )


# --- folding -----------------------------------------------------------------------------------------------------


def parse_event(stored_type: str, data: Json, upcasts: dict[str, Upcast] | None = None) -> Event:
    """An event from the log, brought to the type that this build writes. Raises HistoryCorruptError."""
    table = UPCASTS if upcasts is None else upcasts
    while stored_type in table:
        stored_type, data = table[stored_type](data)
    if stored_type not in EVENTS:
        raise HistoryCorruptError(f"this build does not know the event type {stored_type}; run the build that wrote it")
    try:
        return EVENTS[stored_type].model_validate_json(json.dumps(data))
    except ValidationError as error:
        # Names the fields and never their values: this message is read by people who may not see the patient.
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False))
        raise HistoryCorruptError(f"a stored {stored_type} does not fit its type in: {fields}") from None


def evolve(state: State, recorded: EventRecord) -> State:
    """Fold one recorded event into the state. Refuses the impossible (I2)."""
    header = recorded.header
    if header.sequence != state.version + 1:
        raise HistoryCorruptError(f"event {header.sequence} cannot follow version {state.version}")
    stamp = Stamp(
        sequence=header.sequence,
        occurred_at=header.occurred_at,
        recorded_at=header.recorded_at,
        command_id=header.command_id,
        subject=header.actor.subject,
        role=header.actor.role,
    )
    return apply(state, parse_event(header.type, recorded.content.data), stamp)


def apply(state: State, event: Event, stamp: Stamp) -> State:
    """Fold one event. Every journey passes through here and nowhere else."""
    if isinstance(state, NotOpened):
        if isinstance(event, JourneyOpened):
            return state.model_copy(update={"opened": event, "version": stamp.sequence})
        if isinstance(event, ReferralSubmitted) and state.opened is not None:
            opened = referral.opened(state, state.opened, event, stamp)
            return owes.enqueue(opened, event, stamp, protocols.protocol(opened.policy_version))
        raise HistoryCorruptError(f"{event.type} at {stamp.sequence} before the journey was opened")
    if type(event) not in _EVOLVERS:
        raise HistoryCorruptError(f"{event.type} at {stamp.sequence} cannot follow an opened journey")
    journey = _EVOLVERS[type(event)](state, event, stamp)
    # Silence is broken by people alone; else a recorded breach of silence would itself end the silence.
    by_person = stamp.role not in {Role.SYSTEM, Role.OUTSIDE}
    touched_at = stamp.recorded_at if by_person else journey.touched_at
    touched = journey.model_copy(update={"version": stamp.sequence, "touched_at": touched_at})
    return owes.enqueue(touched, event, stamp, protocols.protocol(touched.policy_version))


def fold(initial: State, records: Iterable[EventRecord]) -> State:
    """The state after all of these."""
    return reduce(evolve, records, initial)


# --- owing -------------------------------------------------------------------------------------------------------


def due(state: State) -> tuple[Obligation, ...]:
    """All that this journey owes, to whom, by when. Computed from the state, so it cannot be forgotten (D2, I11)."""
    if isinstance(state, NotOpened):
        return ()
    policy = protocols.protocol(state.policy_version)
    if not state.is_open:
        return outbox.due(state, policy)
    return tuple(obligation for phase in PHASES for obligation in phase.due(state, policy))


def project(journey: Journey) -> tuple[JourneySummary, tuple[WorklistItem, ...]]:
    """The summary and the worklist of a journey, as of its last event."""
    items = worklist(journey, due(journey))
    return summarise(journey, items), items


__all__ = [
    "COMMANDS",
    "EVENTS",
    "FACTS",
    "MESSAGES",
    "UPCASTS",
    "Command",
    "Context",
    "Decision",
    "Event",
    "HistoryCorruptError",
    "Journey",
    "NotOpened",
    "Obligation",
    "Refusal",
    "Source",
    "State",
    "Tick",
    "apply",
    "decide",
    "due",
    "evolve",
    "fold",
    "parse_command",
    "parse_event",
    "policy_for",
    "project",
    "record",
]
