"""How a workflow keeps its word: history first, then the log, then the state (architecture D3, D4, I3).

The ledger holds the state, the chain head and the receipts of one run. Its ``commit`` is the only place in workflow
code that changes the state, and it does so after the append has been acknowledged.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain import journey as rules
from domain.codes import Code
from domain.envelope import AppendRequest, AppendResult, CommandEnvelope, EventRecord, FactEnvelope, Purpose, Receipt
from domain.journey import Context, Decision, Journey, Refusal, Source, State
from domain.journey.dosing import DosingStarted, GatesEvaluated
from domain.journey.release import DosingReleased, ReleaseCriteriaEvaluated
from runtime.names import APPEND_EVENTS, FIND_RECEIPT
from workflows.contracts import JourneySnapshot

RECEIPTS_KEPT = 64
# An append has no attempt limit and no total time limit: the log may be down for hours and loses nothing (D4).
APPEND_TIMEOUT = timedelta(seconds=10)
APPEND_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5), maximum_attempts=0
)
LOG_AHEAD = "log_ahead"
RECORDED_REFUSALS = {
    GatesEvaluated.type: DosingStarted.type,
    ReleaseCriteriaEvaluated.type: DosingReleased.type,
}
"""What a blocked gate leaves in the log, and what stands beside it when the gate was passed (D6)."""


class RefusedError(Exception):
    """Refused, and nothing recorded. Becomes an answer in an update handler; anywhere else it must fail no run."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def request_digest(envelope: CommandEnvelope | FactEnvelope) -> str:
    """SHA-256 of what was asked, and by whom: the same key otherwise is a mistake of the client's, not a retry."""
    asked = envelope.model_dump(mode="json", include={"name", "body", "occurred_at"})
    asked["by"] = envelope.actor.subject if isinstance(envelope, CommandEnvelope) else envelope.source
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def refusal(code: str, message: str) -> ApplicationError:
    """A refusal as it leaves an update handler: the code is its type, and nobody is paged for it."""
    return ApplicationError(message, type=code, non_retryable=True, category=ApplicationErrorCategory.BENIGN)


class Ledger:
    """State, chain head and receipts of one run."""

    def __init__(self, snapshot: JourneySnapshot, key_version: int) -> None:
        self.state: State = snapshot.state
        self.chain_head = snapshot.chain_head
        self.receipts = {receipt.command_id: receipt for receipt in snapshot.receipts}
        self.receipts_evicted = snapshot.receipts_evicted
        self.diverged = snapshot.diverged
        self._key_version = key_version
        self._asking_since: datetime | None = None

    def is_stalled(self, patience: timedelta) -> bool:
        """Whether the log has owed an answer for longer than this."""
        return self._asking_since is not None and workflow.now() - self._asking_since > patience

    def not_recording(self) -> RefusedError:
        """What is said of everything that comes after the ledgers have diverged (architecture §4)."""
        return RefusedError(Code.LEDGER_DIVERGED, "the event log is not the one this journey knows; ask for a recovery")

    def known(self, command_id: UUID, digest: str) -> Receipt | None:
        """The receipt of a command that was decided before. Raises RefusedError when it was another request."""
        receipt = self.receipts.get(command_id)
        if receipt is not None and receipt.request_digest != digest:
            raise _key_reused()
        return receipt

    async def find(self, command_id: UUID, digest: str, refused: Refusal) -> Receipt | None:
        """Ask the log for a receipt that has left the snapshot, before a command is ``refused``.

        Raises RefusedError.
        """
        if not self.receipts_evicted:
            return None
        asked = [self.state.journey_id, command_id]
        found: AppendResult | None = await self._ask(FIND_RECEIPT, asked, "look for an earlier answer")
        return None if found is None else self._found(command_id, digest, found, refused)

    async def commit(self, decision: Decision, ctx: Context, purpose: Purpose, digest: str) -> Receipt:
        """Append what was decided, then evolve.

        Raises RefusedError: the log is not the one we know, or has another request under this command id.
        """
        if not decision.events:
            version = self.state.version
            return self._keep(ctx.command_id, digest, (version, version), (), decision.refusal)
        source = Source(purpose=purpose, request_digest=digest, key_version=self._key_version, draw_id=workflow.uuid7)
        records = rules.record(self.state, decision.events, ctx, source)
        after = rules.fold(self.state, records)
        assert isinstance(after, Journey)
        types = tuple(event.type for event in decision.events)
        result: AppendResult = await self._ask(APPEND_EVENTS, [self._request(after, records)], ", ".join(types))
        if result.status == "duplicate_command":
            return self._found(ctx.command_id, digest, result, decision.refusal)
        if result.status != "appended":
            self._quarantine(result.reason or "unknown")
        self.state, self.chain_head = after, result.chain_head
        return self._keep(ctx.command_id, digest, (result.first, result.last), types, decision.refusal)

    def _request(self, after: Journey, records: tuple[EventRecord, ...]) -> AppendRequest:
        summary, worklist = rules.project(after)
        return AppendRequest(
            journey_id=after.journey_id,
            expected_head=self.chain_head,
            records=records,
            summary=summary,
            worklist=worklist,
        )

    async def _ask(self, activity: str, arguments: list[Any], summary: str) -> Any:
        self._asking_since = workflow.now()
        try:
            return await workflow.execute_activity(
                activity,
                args=arguments,
                result_type=AppendResult,
                start_to_close_timeout=APPEND_TIMEOUT,
                retry_policy=APPEND_RETRY,
                summary=summary,
            )
        finally:
            self._asking_since = None

    def _found(self, command_id: UUID, digest: str, found: AppendResult, refused: Refusal | None) -> Receipt:
        """The receipt of a command that the log had already."""
        if found.request_digest not in {None, digest}:
            raise _key_reused()
        if found.last > self.state.version:
            # Another life of this journey wrote this (a reset, an old backup): our state is not what was decided on.
            self._quarantine(LOG_AHEAD)
        if not _is_recorded_refusal(found.types):
            refused = None
        elif refused is None:
            refused = Refusal(Code.WRONG_STAGE, "this was refused when it was first sent; ask again with a new key")
        return self._keep(command_id, digest, (found.first, found.last), found.types, refused)

    def _quarantine(self, reason: str) -> NoReturn:
        self.diverged = reason
        raise self.not_recording()

    def _keep(
        self,
        command_id: UUID,
        digest: str,
        span: tuple[int, int],
        types: tuple[str, ...],
        refused: Refusal | None,
    ) -> Receipt:
        """Remember what a command came to; the oldest receipts go, the log still has them."""
        receipt = Receipt(
            command_id=command_id,
            request_digest=digest,
            first=span[0],
            last=span[1],
            types=types,
            refusal_code=refused.code if refused else None,
            refusal_message=refused.message if refused else None,
        )
        self.receipts[command_id] = receipt
        while len(self.receipts) > RECEIPTS_KEPT:
            self.receipts.pop(next(iter(self.receipts)))
            self.receipts_evicted = True
        return receipt


def _is_recorded_refusal(types: tuple[str, ...]) -> bool:
    return any(blocked in types and passed not in types for blocked, passed in RECORDED_REFUSALS.items())


def _key_reused() -> RefusedError:
    return RefusedError(Code.KEY_REUSED, "this Idempotency-Key was used for another request; take a new one")
