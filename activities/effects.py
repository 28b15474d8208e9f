"""The one way anything is done to the outside world: claim, ask if in doubt, act, and tell what came of it (I9).

A claim is written before the first request leaves. Whoever finds it taken does not know what became of that
request, so asks the outside system before sending again. The key goes along as idempotency key in any case, for the
request that was slow rather than lost.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar
from uuid import UUID

import structlog

from activities.wire import OutsideUnavailableError
from domain.effects import (
    EffectCall,
    EffectOutcome,
    EffectResult,
    PageOnCall,
    QueryPdmp,
    SendMessage,
    TransmitPrescription,
    WriteEhrRecords,
)

_log: Final = structlog.get_logger(__name__)

Request = TypeVar("Request", WriteEhrRecords, TransmitPrescription, QueryPdmp, SendMessage, PageOnCall)
Asked_contra = TypeVar(
    "Asked_contra", WriteEhrRecords, TransmitPrescription, QueryPdmp, SendMessage, PageOnCall, contravariant=True
)


class Claims(Protocol):
    """Remembers, outside of this process, which effects were ever attempted."""

    async def claim(self, key: str, journey_id: UUID) -> bool:
        """Claim an effect for good; whether it had been claimed already."""
        ...


class Outside(Protocol[Asked_contra]):
    """One outside system. Both methods raise OutsideUnavailableError when they get no answer to rely on."""

    async def send(self, key: str, request: Asked_contra) -> EffectOutcome:
        """Do it, with ``key`` as idempotency key. A refusal for good is an EffectRejected."""
        ...

    async def lookup(self, key: str, request: Asked_contra) -> EffectOutcome | None:
        """What came of it; None when the system has never done anything under ``key``."""
        ...


async def perform(
    call: EffectCall, kind: type[Request], outside: Outside[Request], *, claimed_before: bool
) -> EffectResult:
    """Make one attempt. Raises TypeError when the call was routed to the wrong activity: a bug, nothing was sent."""
    request = call.request
    if not isinstance(request, kind):
        raise TypeError(f"this activity does {kind.__name__}, not {type(request).__name__}: correct the call")
    log = _log.bind(effect=request.kind, effect_key=call.key, attempt=call.attempt)
    try:
        known = await outside.lookup(call.key, request) if claimed_before else None
        outcome = known or await outside.send(call.key, request)
    except OutsideUnavailableError as error:
        log.warning("effect_unanswered", system=error.system, reason=error.what)
        raise
    log.info("effect_found_done" if known else "effect_answered", status=outcome.kind)
    return EffectResult(key=call.key, outcome=outcome, was_sent_before=known is not None)
