"""How a workflow keeps its word: history first, then the log, then the state (architecture D3, D4, I3).

The ledger holds the state, the chain head and the receipts of one run. Its ``commit`` is the only line of workflow
code that changes the state, and it stands after the append has been acknowledged.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain import journey as rules
from domain.codes import Code
from domain.envelope import AppendRequest, AppendResult, CommandEnvelope, FactEnvelope, Receipt
from domain.journey import Context, Decision, Journey, Source, State
from runtime.names import APPEND_EVENTS, FIND_RECEIPT
from workflows.contracts import JourneySnapshot

RECEIPTS_KEPT = 64
# An append has no attempt limit and no total time limit: the log may be down for hours and loses nothing (D4).
APPEND_TIMEOUT = timedelta(seconds=10)
APPEND_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5), maximum_attempts=0
)


def request_digest(envelope: CommandEnvelope | FactEnvelope) -> str:
    """SHA-256 of what was asked: the same key with another body is a mistake of the client's, not a retry."""
    asked = envelope.model_dump(mode="json", include={"name", "body", "occurred_at"})
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
        self.appending_since: datetime | None = None
        self._key_version = key_version

    def known(self, command_id: UUID, digest: str) -> Receipt | None:
        """The receipt of a command that was decided before. Raises KEY_REUSED when it was another request."""
        receipt = self.receipts.get(command_id)
        if receipt is not None and receipt.request_digest != digest:
            raise refusal(Code.KEY_REUSED, "this Idempotency-Key was used for another request; take a new one")
        return receipt

    async def find(self, command_id: UUID, digest: str) -> Receipt | None:
        """Ask the log for a receipt that has left the snapshot."""
        if not self.receipts_evicted:
            return None
        found: AppendResult | None = await workflow.execute_activity(
            FIND_RECEIPT,
            args=[self.state.journey_id, command_id],
            result_type=AppendResult,
            start_to_close_timeout=APPEND_TIMEOUT,
            retry_policy=APPEND_RETRY,
            summary="look for an earlier answer",
        )
        if found is None:
            return None
        return self._keep(command_id, digest, found)

    async def commit(self, decision: Decision, ctx: Context, source: Source) -> Receipt:
        """Append what was decided, then evolve. Raises LEDGER_DIVERGED when the log is not the one we know."""
        records = rules.record(self.state, decision.events, ctx, source)
        after = rules.fold(self.state, records)
        assert isinstance(after, Journey)
        summary, worklist = rules.project(after)
        request = AppendRequest(
            journey_id=after.journey_id,
            expected_head=self.chain_head,
            records=records,
            summary=summary,
            worklist=worklist,
        )
        self.appending_since = workflow.now()
        result = await workflow.execute_activity(
            APPEND_EVENTS,
            request,
            result_type=AppendResult,
            start_to_close_timeout=APPEND_TIMEOUT,
            retry_policy=APPEND_RETRY,
            summary=", ".join(event.type for event in decision.events),
        )
        self.appending_since = None
        if result.status == "diverged":
            self.diverged = result.reason or "unknown"
            raise refusal(Code.LEDGER_DIVERGED, "the event log is not the one this journey knows; ask for a recovery")
        if result.status == "appended":
            self.state, self.chain_head = after, result.chain_head
        return self._keep(ctx.command_id, source.request_digest, result, decision)

    def _keep(self, command_id: UUID, digest: str, result: AppendResult, decision: Decision | None = None) -> Receipt:
        """Remember what a command came to; the oldest receipts go, the log still has them."""
        if result.status == "duplicate_command" and result.request_digest not in {None, digest}:
            raise refusal(Code.KEY_REUSED, "this Idempotency-Key was used for another request; take a new one")
        refused = decision.refusal if decision is not None else None
        receipt = Receipt(
            command_id=command_id,
            request_digest=digest,
            first=result.first,
            last=result.last,
            types=result.types or tuple(event.type for event in (decision.events if decision else ())),
            refusal_code=refused.code if refused else None,
            refusal_message=refused.message if refused else None,
        )
        self.receipts[command_id] = receipt
        while len(self.receipts) > RECEIPTS_KEPT:
            self.receipts.pop(next(iter(self.receipts)))
            self.receipts_evicted = True
        return receipt
