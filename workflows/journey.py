"""The interpreter of one care journey: takes commands and facts, waits, calls, remembers. Decides nothing (D1).

Whatever it knows it can hand to its successor at any moment between two commands (I5), so a journey lives through
deployments, crashes and years in runs of a few hundred history events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

from domain import journey as rules
from domain.codes import Code
from domain.effects import EffectCall, EffectResult, resource_id
from domain.envelope import SYSTEM, Actor, CommandEnvelope, FactEnvelope, Purpose, Receipt, Role
from domain.journey import Command, Context, Decision, Journey, NotOpened, Source, State, Tick
from domain.journey.holds import Hold, HoldKind, Holds
from domain.journey.messages import Clock, Effect, Task
from domain.journey.outbox import ExpireEffect, RecordEffect
from domain.journey.safety import AnswerPage, CloseSafetyCase, case_of, urgent_tier
from runtime.names import (
    EFFECTS,
    ESCALATION_WORKFLOW,
    ESCALATIONS,
    JOURNEY_WORKFLOW,
    escalation_workflow_id,
    search_attributes,
)

with workflow.unsafe.imports_passed_through():
    from workflows.contracts import Attempt, CommandAnswer, EscalationStart, JourneySnapshot, JourneyStart
    from workflows.display import details, one_line
    from workflows.lanes import ATTEMPT_TIMEOUT, QUEUE_TIMEOUT, heads, next_attempt, ready_at, too_late
    from workflows.ledger import Ledger, refusal, request_digest

HISTORY_EVENTS_MAX = 800
"""A run is left well before a thousand events: a cold replay costs about a second per two thousand (D7)."""
FACTS_KEPT = 64
NUDGE = "nudge"
"""A signal that asks nothing: it makes an idle run notice a new build (D7)."""


@workflow.defn(name=JOURNEY_WORKFLOW)
class JourneyWorkflow:
    """One patient's journey, id ``journey/<uuid>``."""

    @workflow.init
    def __init__(self, start: JourneyStart) -> None:
        self._start = start
        self._shift = timedelta(seconds=start.clock_shift_seconds)
        snapshot = start.snapshot or JourneySnapshot(
            state=NotOpened(
                journey_id=start.journey_id,
                patient_id=start.patient_id,
                clock_shift_seconds=start.clock_shift_seconds,
            )
        )
        self._ledger = Ledger(snapshot, start.key_version)
        self._attempts = dict(snapshot.attempts)
        self._facts_seen = list(snapshot.facts_seen)
        self._one_at_a_time = asyncio.Lock()
        self._paged: dict[UUID, datetime] = {}
        self._in_flight: set[str] = set()
        self._wake_at: datetime | None = None
        self._ticked_at: datetime | None = None
        self._first_stage = self._stage()
        self._leaving = False
        self._shown: dict[str, object] = {}

    @workflow.run
    async def run(self, _start: JourneyStart) -> int:
        """Live until the journey closes; returns its version. Hands over to a new run when it has grown old."""
        self._refresh()
        clock = asyncio.create_task(self._watch_the_clock())
        await workflow.wait_condition(self._may_leave)
        self._leaving = True
        await workflow.wait_condition(self._idle)
        clock.cancel()
        if self._finished():
            return self._ledger.state.version
        if workflow.info().is_target_worker_deployment_version_changed():
            behaviour = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
            workflow.continue_as_new(self._successor(), initial_versioning_behavior=behaviour)
        workflow.continue_as_new(self._successor())

    # --- commands ---------------------------------------------------------------------------------------------

    @workflow.update(dynamic=True)
    async def command(self, name: str, args: Sequence[RawValue]) -> CommandAnswer:  # noqa: ARG002  the SDK names it
        """Answer one command of the registry; the update's name is the command's."""
        envelope = _envelope(args)
        command = rules.parse_command(envelope)
        if urgent_tier(command) is not None:
            self._raise_alarm(envelope.command_id)
        try:
            async with self._one_at_a_time:
                receipt = await self._answer(envelope, command)
        finally:
            self._paged.pop(envelope.command_id, None)
        if receipt.refusal_code is not None:
            raise refusal(receipt.refusal_code, receipt.refusal_message or "")
        return CommandAnswer(
            journey_id=self._start.journey_id,
            command_id=receipt.command_id,
            sequence=receipt.last,
            events=receipt.types,
        )

    @command.validator
    def _validate(self, name: str, args: Sequence[RawValue]) -> None:
        """Turn away what cannot be a command, without a trace; and new work while the log does not answer."""
        try:
            envelope = _envelope(args)
            command = rules.parse_command(envelope)
        except (ValidationError, KeyError, IndexError) as error:
            raise refusal(
                "MALFORMED", "not a command of this build, or malformed; see the API's description"
            ) from error
        if envelope.name != name or name not in rules.COMMANDS:
            raise refusal("MALFORMED", "the update's name is not its command's, or not one that a person may send")
        since = self._ledger.appending_since
        if since is None or urgent_tier(command) is not None or isinstance(self._ledger.state, NotOpened):
            return
        stall = rules.policy_for(self._ledger.state, command)
        if stall is not None and workflow.now() - since > timedelta(seconds=stall.clocks.append_stall_seconds):
            raise refusal(Code.LOG_STALLED, "the event log does not answer; nothing was taken, send it again later")

    async def _answer(self, envelope: CommandEnvelope, command: Command) -> Receipt:
        digest = request_digest(envelope)
        if known := self._ledger.known(envelope.command_id, digest):
            return known
        if self._ledger.diverged is not None:
            raise refusal(Code.LEDGER_DIVERGED, "the event log is not the one this journey knows; ask for a recovery")
        decision, ctx = self._decide(command, envelope.command_id, envelope.actor, envelope.occurred_at)
        if decision.refusal is not None and not decision.events:
            # Perhaps it was accepted long ago, and only its receipt has left the snapshot.
            if earlier := await self._ledger.find(envelope.command_id, digest):
                return earlier
            raise refusal(decision.refusal.code, decision.refusal.message)
        receipt = await self._ledger.commit(decision, ctx, self._source(envelope.purpose, digest))
        if isinstance(command, AnswerPage | CloseSafetyCase) and decision.refusal is None:
            await self._call_off(decision)
        self._refresh()
        return receipt

    def _decide(
        self, command: Command, command_id: UUID, actor: Actor, occurred_at: datetime | None
    ) -> tuple[Decision, Context]:
        state, now = self._ledger.state, self._now()
        policy = rules.policy_for(state, command)
        if policy is None:
            raise refusal(Code.UNKNOWN_PROTOCOL, "this build has no such protocol, or the journey is not open")
        ctx = Context(
            command_id=command_id,
            actor=actor,
            now=now,
            at=occurred_at or now,
            policy=policy,
            simulated=self._start.simulated,
        )
        return rules.decide(self._under_pending_hold(state, command_id), command, ctx), ctx

    def _source(self, purpose: Purpose, digest: str) -> Source:
        return Source(
            purpose=purpose, request_digest=digest, key_version=self._start.key_version, draw_id=workflow.uuid7
        )

    # --- safety -----------------------------------------------------------------------------------------------

    def _raise_alarm(self, command_id: UUID) -> None:
        """Hold and page in this very workflow task, before any lock and whatever the log does (D12)."""
        if command_id in self._ledger.receipts or command_id in self._paged:
            return
        self._paged[command_id] = self._now()
        asyncio.create_task(self._escalate(case_of(command_id), self._now()))  # noqa: RUF006  workflow tasks are kept

    async def _escalate(self, case_id: UUID, raised_at: datetime) -> None:
        start = EscalationStart(
            journey_id=self._start.journey_id,
            case_id=case_id,
            raised_at=raised_at,
            clock_shift_seconds=self._start.clock_shift_seconds,
        )
        try:
            await workflow.start_child_workflow(
                ESCALATION_WORKFLOW,
                start,
                id=escalation_workflow_id(self._start.journey_id, case_id),
                task_queue=ESCALATIONS,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary="Page the clinician on call",
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("escalation_already_started")  # the API was faster: there is one escalation

    async def _call_off(self, decision: Decision) -> None:
        """Tell the escalation that a clinician has the case in hand."""
        for event in decision.events:
            case_id = getattr(event, "case_id", None)
            if case_id is not None:
                handle = workflow.get_external_workflow_handle(escalation_workflow_id(self._start.journey_id, case_id))
                asyncio.create_task(_signal_quietly(handle))  # noqa: RUF006  workflow tasks are kept

    def _under_pending_hold(self, state: State, own: UUID) -> State:
        """The state as others must see it while a safety command waits for its append."""
        others = [at for command_id, at in self._paged.items() if command_id != own]
        if not others or not isinstance(state, Journey) or state.holds.has(HoldKind.SAFETY):
            return state
        # A view, not a change: the hold itself is on its way to the log.
        pending = Hold(kind=HoldKind.SAFETY, placed_at=others[0], placed_by=Role.SYSTEM)
        return state.model_copy(update={"holds": Holds(open=(*state.holds.open, pending))})

    # --- facts ------------------------------------------------------------------------------------------------

    @workflow.signal(dynamic=True)
    async def fact(self, name: str, args: Sequence[RawValue]) -> None:
        """Take a fact from outside. It is never refused; the same one twice is one fact."""
        if name == NUDGE:
            return
        envelope = workflow.payload_converter().from_payload(args[0].payload, FactEnvelope)
        async with self._one_at_a_time:
            if envelope.fact_id in self._facts_seen:
                return
            actor = Actor(subject=envelope.source, role=Role.OUTSIDE)
            command_id = resource_id(envelope.source, envelope.fact_id)
            at = min(envelope.occurred_at, self._now())
            decision, ctx = self._decide(rules.parse_command(envelope), command_id, actor, at)
            if decision.events:
                await self._ledger.commit(decision, ctx, self._source(Purpose.TREAT, request_digest(envelope)))
            self._facts_seen = [*self._facts_seen, envelope.fact_id][-FACTS_KEPT:]
        self._refresh()

    # --- time and effects -------------------------------------------------------------------------------------

    async def _watch_the_clock(self) -> None:
        """Keep one timer, for the next thing that falls due; re-armed only when that changes (D2)."""
        while True:
            at = self._wake_at
            wait = None if at is None else at - self._now()
            if wait is None or wait > timedelta():
                try:
                    await workflow.wait_condition(
                        lambda at=at: self._wake_at != at,  # type: ignore[misc]
                        timeout=wait,
                        timeout_summary=self._next_in_words(),
                    )
                    continue
                except TimeoutError:
                    pass
            await self._tell(Tick(), workflow.uuid4())

    async def _tell(self, command: Command, command_id: UUID) -> None:
        """Say something to the journey as the system: time has passed, an outside system has answered."""
        async with self._one_at_a_time:
            self._ticked_at = self._now()
            if isinstance(self._ledger.state, NotOpened) or self._ledger.diverged is not None:
                self._refresh()
                return
            decision, ctx = self._decide(command, command_id, SYSTEM, None)
            if decision.events:
                envelope = CommandEnvelope(
                    command_id=command_id, name=command.name, actor=SYSTEM, body=command.model_dump(mode="json")
                )
                source = self._source(Purpose.HEALTHCARE_OPERATIONS, request_digest(envelope))
                await self._ledger.commit(decision, ctx, source)
        self._refresh()

    def _refresh(self) -> None:
        """After any change: show it, start what is due, and see when to look next."""
        state = self._ledger.state
        if not isinstance(state, Journey):
            return
        self._show(state)
        self._start_effects(state)
        self._wake_at = self._next_wake(state)

    def _start_effects(self, state: Journey) -> None:
        if self._leaving:
            return
        now = self._now()
        for effect in heads(state.outbox.owed):
            if effect.lane in self._in_flight or ready_at(effect, self._attempts.get(effect.key)) > now:
                continue
            self._in_flight.add(effect.lane)
            work = self._give_up(effect) if too_late(effect, now) else self._attempt(effect)
            asyncio.create_task(work)  # noqa: RUF006  workflow tasks are kept by the workflow

    async def _attempt(self, effect: Effect) -> None:
        """One bounded attempt; its outcome is an event, its failure another attempt later."""
        before = self._attempts.get(effect.key, Attempt())
        call = EffectCall(
            key=effect.key, journey_id=self._start.journey_id, attempt=before.count + 1, request=effect.request
        )
        try:
            result = await workflow.execute_activity(
                effect.request.kind,
                call,
                result_type=EffectResult,
                task_queue=EFFECTS,
                start_to_close_timeout=ATTEMPT_TIMEOUT,
                schedule_to_close_timeout=QUEUE_TIMEOUT,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=f"{effect.lane.split('/')[0]}, attempt {call.attempt}",
            )
        except ActivityError:
            self._attempts[effect.key] = next_attempt(before, self._now())
        else:
            self._attempts.pop(effect.key, None)
            await self._tell(RecordEffect(result=result), resource_id(effect.key, "outcome"))
        finally:
            self._in_flight.discard(effect.lane)
            self._refresh()

    async def _give_up(self, effect: Effect) -> None:
        try:
            await self._tell(ExpireEffect(key=effect.key), resource_id(effect.key, "missed"))
        finally:
            self._in_flight.discard(effect.lane)
            self._refresh()

    def _next_wake(self, state: Journey) -> datetime | None:
        """The next moment at which something must be looked at. What was looked at is not looked at again."""
        seen, now = self._ticked_at, self._now()
        breached = set(state.clocks.breached)
        moments = [
            owed.due_at
            for owed in rules.due(state)
            if (isinstance(owed, Task) and owed.key not in breached) or isinstance(owed, Clock)
        ]
        moments = [at for at in moments if seen is None or at > seen]
        starts = (ready_at(effect, self._attempts.get(effect.key)) for effect in heads(state.outbox.owed))
        moments += [at for at in starts if at > now]
        return min(moments, default=None)

    # --- the run ----------------------------------------------------------------------------------------------

    def _may_leave(self) -> bool:
        info = workflow.info()
        return (
            self._finished()
            or self._stage() != self._first_stage
            or info.is_continue_as_new_suggested()
            or info.get_current_history_length() > HISTORY_EVENTS_MAX
            or info.is_target_worker_deployment_version_changed()
        )

    def _idle(self) -> bool:
        """Whether nothing of this run would be lost: no handler at work, no attempt out, nothing being appended."""
        return workflow.all_handlers_finished() and not self._in_flight and not self._one_at_a_time.locked()

    def _finished(self) -> bool:
        state = self._ledger.state
        return isinstance(state, Journey) and not state.is_open and not state.outbox.owed

    def _successor(self) -> JourneyStart:
        ledger = self._ledger
        owed = {effect.key for effect in ledger.state.outbox.owed} if isinstance(ledger.state, Journey) else set()
        snapshot = JourneySnapshot(
            state=ledger.state,
            chain_head=ledger.chain_head,
            receipts=tuple(ledger.receipts.values()),
            receipts_evicted=ledger.receipts_evicted,
            facts_seen=tuple(self._facts_seen),
            attempts={key: attempt for key, attempt in self._attempts.items() if key in owed},
            diverged=ledger.diverged,
        )
        return self._start.model_copy(update={"snapshot": snapshot})

    def _stage(self) -> str | None:
        """The stage, once there is one: opening a journey is no phase exit."""
        state = self._ledger.state
        return str(state.stage) if isinstance(state, Journey) else None

    def _now(self) -> datetime:
        """Clinical time: the workflow's clock, shifted in simulated mode (D16)."""
        return workflow.now() - self._shift

    def _next_in_words(self) -> str:
        state = self._ledger.state
        return one_line(state) if isinstance(state, Journey) else "waiting for the referral"

    def _show(self, state: Journey) -> None:
        workflow.set_current_details(details(state))
        summary, _ = rules.project(state)
        updates = [u for u in search_attributes(summary) if self._shown.get(u.key.name, u) != u.value]
        if updates:
            workflow.upsert_search_attributes(updates)
            self._shown |= {update.key.name: update.value for update in updates}


def _envelope(args: Sequence[RawValue]) -> CommandEnvelope:
    return workflow.payload_converter().from_payload(args[0].payload, CommandEnvelope)


async def _signal_quietly(handle: workflow.ExternalWorkflowHandle[object]) -> None:
    try:
        await handle.signal("answered")
    except Exception:  # noqa: BLE001  an escalation that has ended needs no calling off
        workflow.logger.info("escalation_not_running")
