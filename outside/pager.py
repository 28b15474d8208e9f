"""An on-call pager service: wakes somebody, once per key."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import AwareDatetime, BaseModel, StringConstraints

from outside.faults import Faults, System, unreliable_router
from outside.once import KeyReusedError, Once

Token = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PageRequest(BaseModel):
    """Who to wake about what: a reference to look up, never a reason."""

    key: Token
    reference: Token
    raised_at: AwareDatetime


class Page(PageRequest):
    page_id: str


class Pager:
    """The pages raised so far."""

    def __init__(self) -> None:
        self.pages: Once[Page] = Once()

    def raise_page(self, request: PageRequest) -> tuple[Page, bool]:
        """Give the page for this key, and whether it is new. Raises KeyReusedError."""
        return self.pages.answer(request.key, request, lambda: Page(page_id=str(uuid4()), **request.model_dump()))


def client_routes(pager: Pager, faults: Faults) -> APIRouter:
    router = unreliable_router(System.PAGER, faults)

    @router.post("/pages", status_code=201)
    async def raise_page(request: PageRequest, response: Response, idempotency_key: Annotated[str, Header()]) -> Page:
        """201 for a new page, 200 for one already raised, 409 for the same key about something else."""
        if idempotency_key != request.key:
            raise HTTPException(422, "Idempotency-Key must equal key.")
        try:
            page, is_new = pager.raise_page(request)
        except KeyReusedError:
            raise HTTPException(409, "This key raised another page; derive a new key.") from None
        if not is_new:
            response.status_code = 200
        return page

    @router.get("/pages/{key}")
    async def look_up(key: str) -> Page:
        entry = pager.pages.get(key)
        if entry is None:
            raise HTTPException(404, "No page was raised under this key.")
        return entry.answer

    return router


def control_routes(pager: Pager) -> APIRouter:
    router = APIRouter(prefix="/pager")

    @router.get("/pages")
    async def pages() -> list[dict[str, Any]]:
        """Every page, for tests, with how often it was asked for."""
        return [{**e.answer.model_dump(mode="json"), "received": e.received} for _, e in pager.pages]

    return router
