"""Every failure leaves as an RFC 9457 problem that says what to do next, and never what was sent.

An exception's text may quote what a patient wrote, so no text of an exception passes here: only our own sentences,
the domain's refusals (which hold nothing about the patient) and the places of malformed fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from api.crisis import Crisis, crisis_for
from store.errors import StoreUnavailableError
from vault.errors import KeyShreddedError, KeyUnknownError

MEDIA_TYPE: Final = "application/problem+json"

_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_SAFE_MESSAGES: Final = {
    "uuid_parsing": "Input should be a valid UUID",
    "union_tag_invalid": "Input should be one of the described kinds",
    "value_error": "Input should be as this field is described in /openapi.json",
    "assertion_error": "Input should be as this field is described in /openapi.json",
}
"""Ours, where pydantic's own message would quote the input."""


class FieldError(BaseModel):
    """Where a request is malformed and why; never the value found there."""

    loc: list[str | int]
    type: str
    msg: str


class Problem(BaseModel):
    """RFC 9457. ``code`` is for programs, ``detail`` says what to do next."""

    type: str = Field(examples=["urn:alliance:problem:hold_safety"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["HOLD_SAFETY"])
    instance: str | None = Field(default=None, description="names this occurrence; quote it when you ask for help")
    journey_id: UUID | None = None
    errors: list[FieldError] | None = None
    down: list[str] | None = Field(default=None, description="systems that do not answer")
    workers: list[str] | None = Field(default=None, description="task queues that no worker polls")
    crisis: Crisis | None = Field(default=None, description="where somebody in danger gets help at once")


class ProblemError(Exception):
    """A request ends here. ``more`` are further members of ``Problem``."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self, path: str) -> JSONResponse:
        """Write the problem as the answer to a request for ``path``."""
        problem = Problem(
            type=f"urn:alliance:problem:{self.code.lower()}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            crisis=crisis_for(path),
            **self.more,
        )
        content = problem.model_dump(mode="json", exclude_none=True)
        return JSONResponse(content, self.status, {"Cache-Control": "no-store"} | self.headers, MEDIA_TYPE)


def malformed(faults: Sequence[ErrorDetails | Mapping[str, Any]], *outer: str) -> ProblemError:
    """Tell where a request is malformed. ``outer`` comes before each place, such as ``body``."""
    errors: list[FieldError] = []
    for fault in faults:
        loc = [*outer, *map(_place, fault["loc"])]
        error = FieldError(loc=loc, type=fault["type"], msg=_SAFE_MESSAGES.get(fault["type"], fault["msg"]))
        if error not in errors:  # a path is read by the route and by what it depends on
            errors.append(error)
    return ProblemError(
        422, "MALFORMED", "Nothing was recorded. Correct the places named in errors and send again.", errors=errors
    )


def _place(part: str | int) -> str | int:
    """Name a place as it is when it could be a field's name; a key that could be content is left out."""
    return part if isinstance(part, int) or _FIELD_NAME.fullmatch(part) else "?"


def unknown_journey() -> ProblemError:
    """No such journey here."""
    return ProblemError(404, "UNKNOWN_JOURNEY", "No such journey. Check the id against the answer that opened it.")


def unavailable(detail: str, code: str = "UNAVAILABLE", **more: Any) -> ProblemError:
    """Something we need does not answer; the client may repeat."""
    return ProblemError(503, code, detail, headers={"Retry-After": "5"}, **more)


_HTTP: Final = {
    404: ("NO_SUCH_ROUTE", "There is nothing at this address. /docs lists what there is."),
    405: ("METHOD_NOT_ALLOWED", "This address takes other methods: see Allow, and /docs."),
}


def _translate(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case RequestValidationError():
            return malformed(error.errors())
        case HTTPException(status_code=status, headers=headers):
            code, detail = _HTTP.get(status, ("REFUSED", "This request cannot be served. /docs says what can."))
            return ProblemError(status, code, detail, headers=headers)
        case KeyShreddedError():
            return ProblemError(404, "ERASED", "This patient's record was erased, for good. Only its proofs remain.")
        case KeyUnknownError():
            return unknown_journey()
        case StoreUnavailableError():
            return unavailable("The database does not answer. Nothing was lost: send the same request again.")
        case _:
            raise TypeError(type(error).__name__)


def install_problems(app: FastAPI) -> None:
    """Answer every known exception with its problem. Unknown ones are for ``api.requests``."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return _translate(error).response(request.url.path)

    for kind in (
        ProblemError,
        RequestValidationError,
        HTTPException,
        KeyShreddedError,
        KeyUnknownError,
        StoreUnavailableError,
    ):
        app.add_exception_handler(kind, answer)


_MEANINGS: Final = {
    401: "No valid token",
    403: "Not your role, or not your patient",
    404: "No such journey",
    409: "Not possible now; `code` says why",
    422: "Malformed; nothing was recorded",
    503: "Something does not answer; the same request may be sent again",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe these problems for OpenAPI."""
    schema = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _MEANINGS[status], "content": schema} for status in statuses}
