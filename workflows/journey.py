"""The interpreter of one care journey: takes commands and facts, waits, calls, remembers. Decides nothing (D1).

Whatever it knows it can hand to its successor at any moment between two commands (I5), so a journey lives through
deployments, crashes and years in runs of a few hundred history events.

Beside this file, one room each: ``commands`` reads what people ask, ``facts`` what systems report, ``ledger`` keeps
the word, ``alarms`` wakes people, ``lanes`` sends effects, ``clock`` keeps the timer, ``display`` shows, ``handover``
ends a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RawValue

from domain import journey as rules
from domain.codes import Code
from domain.effects import resource_id
from domain.envelope import SYSTEM, Actor, CommandEnvelope, Purpose, Receipt, Role
from domain.journey import Command, Context, Decision, Journey, Tick
from domain.journey.safety import AnswerPage, CloseSafetyCase, urgent_tier
from runtime.names import JOURNEY_WORKFLOW

with workflow.unsafe.imports_passed_through():
    from workflows.alarms import Alarms
    from workflows.background import Background
    from workflows.clock import Waker
    from workflows.commands import answer_of, checked_command, is_safety, read_command, without_rules
    from workflows.contracts import CommandAnswer, JourneySnapshot, JourneyStart
    from workflows.display import Display, one_line
    from workflows.facts import Facts, parse
    from workflows.handover import hand_over, is_old
    from workflows.lanes import Lanes
    from workflows.ledger import Ledger, RefusedError, refusal, request_digest

NUDGE = "nudge"
"""A signal that asks for nothing: it makes an idle run notice a new build (D7)."""


@workflow.defn(name=JOURNEY_WORKFLOW)
class JourneyWorkflow:
    """One patient's journey, id ``journey/<uuid>``."""

    @workflow.init
    def __init__(self, start: JourneyStart) -> None:
        snapshot = start.known()
        self._start = start
        self._shift = timedelta(seconds=start.clock_shift_seconds)
        self._one_at_a_time = asyncio.Lock()
        self._ledger = Ledger(snapshot, start.key_version)
        self._alarms = Alarms(start, snapshot.escalations)
        self._facts = Facts(snapshot.facts_seen, snapshot.facts_waiting)
        self._lanes = Lanes(start.journey_id, snapshot.attempts, clock=self._now, tell=self._tell, freed=self._refresh)
        self._waker = Waker(self._now)
        self._display = Display()
        self._background = Background()
        self._first_stage = self._stage()
        self._leaving = False

    @workflow.run
    async def run(self, _start: JourneyStart) -> int:
        """Live until the journey closes; returns its version. Hands over to a new run when it has grown old."""
        self._background.watch(asyncio.create_task(self._catch_up()))
        clock = asyncio.create_task(self._waker.watch(self._tick, self._next_in_words))
        self._background.watch(clock)
        await self._background.until(lambda: self._finished() or self._has_left_its_stage() or is_old())
        self._leaving = True
        await self._background.until(self._idle)
        clock.cancel()
        if self._finished():
            return self._ledger.state.version
        hand_over(self._successor())

    # --- commands ---------------------------------------------------------------------------------------------

    @workflow.update(dynamic=True)
    async def command(self, name: str, args: Sequence[RawValue]) -> CommandAnswer:  # noqa: ARG002  the SDK names it
        """Answer one command of the registry; the update's name is the command's."""
        envelope, command = read_command(args)
        first_aid = self._act_first(envelope, command)
        answer = await self._answer(envelope, command)
        if first_aid is not None:
            await first_aid  # a run that ended before would not deliver it
        self._refresh()
        if isinstance(answer, RefusedError):
            raise refusal(answer.code, answer.message)
        return answer_of(self._start.journey_id, answer)

    @command.validator
    def _validate(self, name: str, args: Sequence[RawValue]) -> None:
        """Turn away what cannot be a command, without a trace; and new work while the log does not answer."""
        command = checked_command(name, args)
        policy = rules.policy_for(self._ledger.state, command)
        if policy is None or is_safety(command):
            return
        if self._ledger.is_stalled(timedelta(seconds=policy.clocks.append_stall_seconds)):
            raise refusal(Code.LOG_STALLED, "the event log does not answer; nothing was taken, send it again later")

    def _act_first(self, envelope: CommandEnvelope, command: Command) -> asyncio.Task[None] | None:
        """What a safety command does in its first workflow task, before any lock and whatever the log does (D12)."""
        if envelope.command_id in self._ledger.receipts:
            return None
        if urgent_tier(command) is not None:
            return self._alarms.sound(envelope.command_id, self._now(), self._ledger.state)
        if isinstance(command, AnswerPage) and self._is_entitled(envelope, command):
            return self._alarms.call_off()
        return None

    def _is_entitled(self, envelope: CommandEnvelope, command: Command) -> bool:
        """Whether this person may answer for this patient, be the case in the log already or not."""
        if rules.policy_for(self._ledger.state, command) is None:
            return envelope.actor.role in command.roles
        refused = rules.decide(
            self._ledger.state, command, self._context(command, envelope.command_id, envelope.actor, None)
        ).refusal
        return refused is None or refused.code not in {Code.ROLE, Code.NOT_A_PARTICIPANT}

    async def _answer(self, envelope: CommandEnvelope, command: Command) -> Receipt | RefusedError:
        """Wait for the turn of this command, and take it."""
        try:
            async with self._one_at_a_time:
                receipt = await self._take(envelope, command)
                await self._take_facts()
        except RefusedError as refused:
            return refused
        finally:
            self._alarms.recorded(envelope.command_id)
        return receipt

    async def _take(self, envelope: CommandEnvelope, command: Command) -> Receipt:
        """Decide a command and record it, unless that was done before. Raises RefusedError."""
        digest = request_digest(envelope)
        if known := self._ledger.known(envelope.command_id, digest):
            return known
        if self._ledger.diverged is not None:
            raise self._ledger.not_recording()
        if rules.policy_for(self._ledger.state, command) is None:
            raise without_rules(command)
        ctx = self._context(command, envelope.command_id, envelope.actor, envelope.occurred_at)
        decision = self._decide(command, ctx)
        if decision.refusal is not None and not decision.events:
            # Perhaps it was accepted long ago, and only its receipt has left the snapshot.
            if earlier := await self._ledger.find(envelope.command_id, digest, decision.refusal):
                return earlier
            raise RefusedError(decision.refusal.code, decision.refusal.message)
        receipt = await self._ledger.commit(decision, ctx, envelope.purpose, digest)
        if isinstance(command, CloseSafetyCase) and receipt.refusal_code is None:
            await self._alarms.call_off()
        return receipt

    # --- deciding ---------------------------------------------------------------------------------------------

    def _decide(self, command: Command, ctx: Context) -> Decision:
        """The domain's decision. A hold that is still on its way to the log can forbid, and nothing else."""
        decision = rules.decide(self._ledger.state, command, ctx)
        held = self._alarms.under_pending_hold(self._ledger.state, ctx.command_id)
        if held is None or decision.refusal is not None:
            return decision
        under_hold = rules.decide(held, command, ctx)
        forbidden = under_hold.refusal is not None and under_hold.refusal.code == Code.HOLD_SAFETY
        return under_hold if forbidden else decision

    def _context(self, command: Command, command_id: UUID, actor: Actor, occurred_at: datetime | None) -> Context:
        policy, now = rules.policy_for(self._ledger.state, command), self._now()
        assert policy is not None, "no rules to decide by"
        return Context(
            command_id=command_id,
            actor=actor,
            now=now,
            at=occurred_at or now,
            policy=policy,
            simulated=self._start.simulated,
        )

    async def _tell(self, command: Command, command_id: UUID) -> None:
        """Say something to the journey as the system: time has passed, an outside system has answered."""
        async with self._one_at_a_time:
            if isinstance(self._ledger.state, Journey) and self._ledger.diverged is None:
                self._waker.looked()
                ctx = self._context(command, command_id, SYSTEM, None)
                envelope = CommandEnvelope(
                    command_id=command_id, name=command.name, actor=SYSTEM, body=command.model_dump(mode="json")
                )
                purpose, digest = Purpose.HEALTHCARE_OPERATIONS, request_digest(envelope)
                await self._commit_quietly(self._decide(command, ctx), ctx, purpose, digest)
        self._refresh()

    async def _commit_quietly(self, decision: Decision, ctx: Context, purpose: Purpose, digest: str) -> None:
        """Record what nobody waits for. That the log does not take it is remembered by the ledger, and shown."""
        if not decision.events:
            return
        try:
            await self._ledger.commit(decision, ctx, purpose, digest)
        except RefusedError:
            workflow.logger.error("decision_not_recorded")

    # --- facts ------------------------------------------------------------------------------------------------

    @workflow.signal(dynamic=True)
    async def fact(self, name: str, args: Sequence[RawValue]) -> None:  # noqa: ARG002  the SDK names it
        """Take a fact from outside. It is never refused; the same one twice is one fact."""
        self._facts.receive(args)
        async with self._one_at_a_time:
            await self._take_facts()
        self._refresh()

    @workflow.signal(name=NUDGE)
    def nudge(self) -> None:
        """Wake up, and see whether it is time to leave."""

    async def _take_facts(self) -> None:
        """Record the facts that wait, in order. Called with the lock held."""
        for envelope in self._facts.waiting:
            command = parse(envelope)
            if not isinstance(self._ledger.state, Journey) or self._ledger.diverged is not None or command is None:
                continue
            actor = Actor(subject=envelope.source, role=Role.OUTSIDE)
            command_id = resource_id(envelope.source, envelope.fact_id)
            ctx = self._context(command, command_id, actor, min(envelope.occurred_at, self._now()))
            await self._commit_quietly(self._decide(command, ctx), ctx, Purpose.TREAT, request_digest(envelope))
            if self._ledger.diverged is None:
                self._facts.taken(envelope)

    # --- after every change -----------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Show the journey, start what is due, and see when to look next."""
        state = self._ledger.state
        if not isinstance(state, Journey):
            return
        self._first_stage = self._first_stage or self._stage()
        self._display.show(state, self._ledger.diverged)
        if self._ledger.diverged is not None:
            self._waker.stop()  # what cannot be recorded is neither sent nor looked for
            return
        if not self._leaving:
            for attempt in self._lanes.start(state.outbox.owed):
                self._background.watch(attempt)
        self._waker.set(state, self._lanes.next_start(state.outbox.owed))

    async def _tick(self) -> None:
        await self._tell(Tick(), workflow.uuid4())

    async def _catch_up(self) -> None:
        """What the run before left, and perhaps could not read."""
        async with self._one_at_a_time:
            await self._take_facts()
        self._refresh()

    # --- the run ----------------------------------------------------------------------------------------------

    def _has_left_its_stage(self) -> bool:
        return self._stage() != self._first_stage

    def _idle(self) -> bool:
        """Whether nothing of this run would be lost: no handler at work, no attempt out, nothing being appended."""
        return workflow.all_handlers_finished() and not self._lanes.busy and not self._one_at_a_time.locked()

    def _finished(self) -> bool:
        """Closed, nothing left with the outside, and nobody paged who has not answered."""
        state = self._ledger.state
        if not isinstance(state, Journey) or state.is_open:
            return False
        left = state.outbox.owed or state.outbox.rejected
        return not left and not self._alarms.unanswered

    def _successor(self) -> JourneyStart:
        ledger = self._ledger
        owed = ledger.state.outbox.owed if isinstance(ledger.state, Journey) else ()
        snapshot = JourneySnapshot(
            state=ledger.state,
            chain_head=ledger.chain_head,
            receipts=tuple(ledger.receipts.values()),
            receipts_evicted=ledger.receipts_evicted,
            facts_seen=self._facts.seen,
            facts_waiting=self._facts.waiting,
            attempts=self._lanes.left(owed),
            escalations=tuple(self._alarms.unanswered),
            diverged=ledger.diverged,
        )
        return self._start.model_copy(update={"snapshot": snapshot})

    def _stage(self) -> str | None:
        state = self._ledger.state
        return str(state.stage) if isinstance(state, Journey) else None

    def _now(self) -> datetime:
        """Clinical time: the workflow's clock, shifted in simulated mode (D16)."""
        return workflow.now() - self._shift

    def _next_in_words(self) -> str:
        state = self._ledger.state
        return one_line(state) if isinstance(state, Journey) else "waiting for the referral"
