"""Given, when, then for a journey: a story drives the pure domain as the workflow would, and checks it at every step.

Commands and events pass through JSON as they do in life. After each step four things must hold, or the story fails:
what was decided is decided the same again; the fold of all records is the live state; the live state survives JSON;
an open journey owes somebody something (I11).
"""

from __future__ import annotations

from copy import copy
from datetime import datetime, timedelta
from itertools import count
from typing import Self, TypeVar
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from domain import journey as rules
from domain import protocols
from domain.codes import Code
from domain.effects import (
    EffectOutcome,
    EffectResult,
    EhrWritten,
    MessageAccepted,
    Paged,
    PageOnCall,
    PdmpAnswered,
    PrescriptionSent,
    QueryPdmp,
    SendMessage,
    TransmitPrescription,
    WriteEhrRecords,
)
from domain.envelope import SYSTEM, Actor, CommandEnvelope, EventRecord, Purpose, Role
from domain.journey.messages import Command, Context, Decision, Effect, Event, Obligation, Task
from domain.journey.outbox import RecordEffect
from domain.journey.scheduling import ScheduleSession, SessionKind
from domain.journey.state import Journey, NotOpened, State
from domain.protocols import Protocol

NEW_YORK = ZoneInfo("America/New_York")
DAY_0 = datetime(2026, 1, 5, tzinfo=NEW_YORK)
"""V1's referral, a Monday."""

AnEvent = TypeVar("AnEvent", bound=Event)
_IDS = UUID("6b2f7f2e-0000-5000-8000-000000000001")
DIGEST = "0" * 64
ACTORS = {role: Actor(subject=f"subject-{role}", role=role) for role in Role} | {Role.SYSTEM: SYSTEM}


def moment(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    """Read a wall clock, such as ``2026-01-13T15:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def day(number: int, clock: str = "10:00") -> datetime:
    """Read the wall clock of V1's day ``number``."""
    date = (DAY_0 + timedelta(days=number)).date()
    return moment(f"{date.isoformat()}T{clock}")


def types(decision: Decision) -> tuple[str, ...]:
    """Give the stored types of what was decided."""
    return tuple(event.type for event in decision.events)


def refused(decision: Decision) -> Code | None:
    """Give the code of a refusal, or None for a yes."""
    return decision.refusal.code if decision.refusal is not None else None


class Story:
    """One journey as it is lived. ``fork`` it to try what else could have happened."""

    def __init__(self) -> None:
        self.initial: State = NotOpened(journey_id=uuid5(_IDS, "journey"), patient_id=uuid5(_IDS, "patient"))
        self.state: State = self.initial
        self.records: tuple[EventRecord, ...] = ()
        self.commands: tuple[Command, ...] = ()
        self.decisions: tuple[Decision, ...] = ()
        self.now = DAY_0
        self.simulated = True
        self.policy: Protocol | None = None
        self.last_id = uuid5(_IDS, "none")
        self._folded: State = self.initial
        self._asked = 0

    @property
    def journey(self) -> Journey:
        """The journey, which must be open or closed, but there."""
        assert isinstance(self.state, Journey)
        return self.state

    def fork(self) -> Self:
        """Copy the story: every part of it is immutable, so the copies never meet."""
        return copy(self)

    def at(self, when: str | datetime) -> Self:
        """Let time pass: the journey is woken, so what has become overdue is recorded."""
        self.now = moment(when) if isinstance(when, str) else when
        if isinstance(self.state, Journey) and self.state.is_open:
            self.do(rules.Tick(), by=Role.SYSTEM)
        return self

    def after(self, **length: float) -> Self:
        """Let this much time pass; keywords as of ``timedelta``."""
        return self.at(self.now + timedelta(**length))

    def do(
        self,
        command: Command,
        by: Role | Actor | None = None,
        *,
        occurred_at: datetime | None = None,
        command_id: UUID | None = None,
    ) -> Decision:
        """Send a command as ``by``, or as the only role that may send it; record and fold what follows."""
        self._asked += 1
        self.last_id = command_id or uuid5(_IDS, f"command {self._asked}")
        ctx = self._context(command, by, occurred_at)
        envelope = CommandEnvelope(
            command_id=self.last_id, name=command.name, actor=ctx.actor, body=command.model_dump(mode="json")
        )
        parsed = rules.parse_command(CommandEnvelope.model_validate_json(envelope.model_dump_json()))
        decision = rules.decide(self.state, parsed, ctx)
        assert decision == rules.decide(self.state, parsed, ctx), "the same question had two answers"
        self.commands, self.decisions = (*self.commands, parsed), (*self.decisions, decision)
        self._fold(decision, ctx)
        return decision

    def yes(self, command: Command, by: Role | Actor | None = None, *, occurred_at: datetime | None = None) -> Decision:
        """Send a command that must be accepted."""
        decision = self.do(command, by, occurred_at=occurred_at)
        assert decision.refusal is None, f"{command.name}: {decision.refusal}"
        return decision

    def book(self, kind: SessionKind, starts_at: datetime, minutes: int = 60) -> UUID:
        """Book a session; its id is the command's."""
        self.yes(ScheduleSession(kind=kind, starts_at=starts_at, minutes=minutes), Role.COORDINATOR)
        return self.last_id

    def outside(self) -> Self:
        """Let the outside answer everything that is due by now, lane by lane in order."""
        while owed := [effect for effect in self.journey.outbox.owed if effect.due_at <= self.now]:
            self.yes(RecordEffect(result=EffectResult(key=owed[0].key, outcome=good_outcome(owed[0]))))
        return self

    def due(self) -> tuple[Obligation, ...]:
        """Everything the journey owes."""
        return rules.due(self.state)

    def tasks(self) -> dict[str, Task]:
        """What people owe, by code."""
        return {task.code: task for task in self.due() if isinstance(task, Task)}

    def events(self, kind: type[AnEvent]) -> list[AnEvent]:
        """Every event of this type so far."""
        found = (rules.parse_event(r.header.type, r.content.data) for r in self.records)
        return [event for event in found if isinstance(event, kind)]

    def _context(self, command: Command, by: Role | Actor | None, occurred_at: datetime | None) -> Context:
        if by is None:
            (by,) = command.roles
        policy = self.policy or rules.policy_for(self.state, command) or protocols.newest("ketamine_sl")
        assert policy is not None
        return Context(
            command_id=self.last_id,
            actor=by if isinstance(by, Actor) else ACTORS[by],
            now=self.now,
            at=occurred_at or self.now,
            policy=policy,
            simulated=self.simulated,
        )

    def _fold(self, decision: Decision, ctx: Context) -> None:
        ids = (uuid5(_IDS, f"event {number}") for number in count(self.state.version + 1))
        source = rules.Source(purpose=Purpose.TREAT, request_digest=DIGEST, key_version=1, draw_id=lambda: next(ids))
        recorded = rules.record(self.state, decision.events, ctx, source)
        read = tuple(EventRecord.model_validate_json(one.model_dump_json()) for one in recorded)
        assert recorded == read, "a record changed on its way through JSON"
        live = rules.fold(self.state, read)
        self._folded = rules.fold(self._folded, read)
        self.records += read
        self.state = type(live).model_validate_json(live.model_dump_json())
        assert live == self.state, "the state changed on its way through JSON"
        assert self._folded == self.state, "the fold of all records is not the live state"
        _owes_somebody(self.state)


def _owes_somebody(state: State) -> None:
    """I11: an open journey owes at least one task with an owner and a due time; no two under one key."""
    if not isinstance(state, Journey) or not state.is_open:
        return
    owed = rules.due(state)
    assert any(isinstance(one, Task) for one in owed), f"an open journey in {state.stage} owes nobody anything"
    assert len(owed) == len({one.key for one in owed}), "two obligations share a key"
    rules.project(state)


def good_outcome(effect: Effect) -> EffectOutcome:
    """Answer an effect as an outside world does that has nothing to complain about."""
    match effect.request:
        case WriteEhrRecords():
            return EhrWritten(references=("Bundle/1",))
        case SendMessage():
            return MessageAccepted(message_id="message-1")
        case TransmitPrescription():
            return PrescriptionSent(message_id="newrx-1", status_code="000")
        case QueryPdmp(states=states):
            return PdmpAnswered(query_id="pdmp-1", states=states, outcome="clear", prescribers=1, overlapping=False)
        case PageOnCall():
            return Paged(page_id="page-1")
