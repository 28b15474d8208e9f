"""Wakes the clinician on call.

Needs nothing but the pager: no database, so that a page goes out while Postgres is down (D12). In the place of a
claim stands the attempt's number, and when the pager cannot say what it did, the page is sent again: it is better
asked for twice than not at all, and its key lets it ring once.
"""

from __future__ import annotations

import httpx2
from pydantic import ValidationError
from temporalio import activity

from activities.effects import perform
from activities.wire import OutsideUnavailableError, Wire, rejected
from domain.effects import EffectCall, EffectOutcome, EffectResult, Paged, PageOnCall
from runtime.names import PAGE_ON_CALL


class Pager:
    """The paging service's HTTP API."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._wire = Wire("pager", client)

    async def send(self, key: str, request: PageOnCall) -> EffectOutcome:
        """Page. The reference is two opaque ids: where to look, never why."""
        body = {
            "key": key,
            "reference": f"{request.journey_id}/{request.case_id}",
            "raised_at": request.raised_at.isoformat(),
        }
        response = await self._wire.post("pages", key, body)
        if response.is_success:
            return self._paged(self._wire.json(response))
        if response.status_code == httpx2.codes.CONFLICT:
            found = await self._wire.get("pages", key)
            if isinstance(found, dict) and found.get("reference") == body["reference"]:
                return self._paged(found)  # raised at another moment, by whoever was faster: it has rung for this case
        return rejected(response)

    async def lookup(self, key: str, request: PageOnCall) -> EffectOutcome | None:
        """Find the page; None also when the pager cannot say."""
        del request
        try:
            found = await self._wire.get("pages", key)
            return None if found is None else self._paged(found)
        except OutsideUnavailableError:
            return None

    def _paged(self, answer: object) -> Paged:
        try:
            return Paged(page_id=answer["page_id"])  # type: ignore[index]
        except (TypeError, KeyError, ValidationError):
            raise OutsideUnavailableError(self._wire.system, "unreadable") from None


class PagingActivities:
    """``page_on_call``."""

    def __init__(self, pager: Pager) -> None:
        self._pager = pager

    @activity.defn(name=PAGE_ON_CALL)
    async def page_on_call(self, call: EffectCall) -> EffectResult:
        """Page once; from the second attempt on, ask first."""
        return await perform(call, PageOnCall, self._pager, claimed_before=call.attempt > 1)
