"""What the journey owes the outside, and what came of it (architecture D17).

One table says which event owes which effects. An owed effect waits in the state until its outcome is an event, so it
survives a crash, a move to another build, and the loss of Temporal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from domain.codes import Code
from domain.effects import (
    EffectRejected,
    EffectResult,
    EhrWritten,
    MessageAccepted,
    Paged,
    PdmpAnswered,
    PrescriptionSent,
)
from domain.envelope import Role
from domain.journey import dispensing
from domain.journey.messages import (
    Command,
    Context,
    Decision,
    Effect,
    Event,
    Obligation,
    Stamp,
    Task,
    accept,
    refuse,
)
from domain.journey.prescription import PdmpQueried
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Rejected(Value):
    key: ShortText
    code: ShortText
    at: Instant


class Outbox(Value):
    owed: tuple[Effect, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    def find(self, key: str) -> Effect | None:
        return next((effect for effect in self.owed if effect.key == key), None)


class RecordEffect(Command, name="record_effect", by={Role.SYSTEM}):
    """An outside system has answered."""

    result: EffectResult


class ExpireEffect(Command, name="expire_effect", by={Role.SYSTEM}):
    """An effect's time has passed before it could be done; doing it now would be wrong."""

    key: ShortText


class SettleRejection(Command, name="settle_rejection", by={Role.COORDINATOR, Role.PRESCRIBER}):
    """Say that what an outside system rejected has been dealt with by hand."""

    key: ShortText
    note: LongText


class EhrRecordsWritten(Event, type="ehr_records_written.v1"):
    key: ShortText
    references: tuple[ShortText, ...]


class MessageSent(Event, type="message_sent.v1"):
    key: ShortText
    message_id: ShortText


class EffectSettled(Event, type="effect_settled.v1"):
    """Answered; what it means is the event beside this one."""

    key: ShortText


class EffectRefused(Event, type="effect_refused.v1"):
    key: ShortText
    code: ShortText


class EffectMissed(Event, type="effect_missed.v1"):
    key: ShortText


class RejectionSettled(Event, type="rejection_settled.v1"):
    key: ShortText
    note: LongText


Commands: TypeAlias = RecordEffect | ExpireEffect | SettleRejection
Events: TypeAlias = EhrRecordsWritten | MessageSent | EffectSettled | EffectRefused | EffectMissed | RejectionSettled


def decide(journey: Journey, command: Commands, _ctx: Context) -> Decision:
    match command:
        case RecordEffect(result=result):
            if journey.outbox.find(result.key) is None:
                return accept()  # settled already; a second answer changes nothing
            return accept(*_settled(journey, result))
        case ExpireEffect(key=key):
            return accept(EffectMissed(key=key)) if journey.outbox.find(key) else accept()
        case SettleRejection(key=key, note=note):
            if all(rejected.key != key for rejected in journey.outbox.rejected):
                return refuse(Code.NOT_FOUND, "nothing of this key was rejected")
            return accept(RejectionSettled(key=key, note=note))
        case _:
            assert_never(command)


def _settled(journey: Journey, result: EffectResult) -> tuple[Event, ...]:
    key, outcome = result.key, result.outcome
    match outcome:
        case EhrWritten(references=references):
            return (EhrRecordsWritten(key=key, references=references),)
        case MessageAccepted(message_id=message_id):
            return (MessageSent(key=key, message_id=message_id),)
        case PdmpAnswered():
            return (PdmpQueried(**outcome.model_dump(exclude={"kind"})), EffectSettled(key=key))
        case PrescriptionSent():
            return (*dispensing.settle(journey, key, outcome), EffectSettled(key=key))
        case EffectRejected(code=code):
            return (*dispensing.settle(journey, key, outcome), EffectRefused(key=key, code=code))
        case Paged():
            return (EffectSettled(key=key),)
        case _:
            assert_never(outcome)


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here = journey.outbox
    owed = tuple(effect for effect in here.owed if effect.key != event.key)
    rejected = here.rejected
    match event:
        case EhrRecordsWritten() | MessageSent() | EffectSettled() | EffectMissed():
            pass
        case EffectRefused(key=key, code=code):
            rejected = (*rejected, Rejected(key=key, code=code, at=stamp.recorded_at))
        case RejectionSettled(key=key):
            rejected = tuple(one for one in rejected if one.key != key)
        case _:
            assert_never(event)
    return journey.model_copy(update={"outbox": Outbox(owed=owed, rejected=rejected)})


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """Every owed effect; and for what an outside system rejected, a person."""
    problems = tuple(
        Task(
            key=f"rejected/{rejected.key}",
            code="OUTSIDE_REJECTED",
            owner=Role.COORDINATOR,
            due_at=policy.clocks.business_days_after(rejected.at, 1),
        )
        for rejected in journey.outbox.rejected
    )
    return (*journey.outbox.owed, *problems)
