"""Reads a command out of a request, strictly: what a program wrote by mistake must not become a clinical fact.

JSON allows more than a record can carry: a key twice, NaN, integers that another language rounds. All are refused
here, because after this line the command is durable before anybody looks at it again.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.problems import ProblemError, malformed
from domain.values import to_utc

COMMAND_BYTES_MAX: Final = 256 * 1024
_EXACT_MAX: Final = 2**53 - 1
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, bytes_max: int = COMMAND_BYTES_MAX) -> bytes:
    """Read the body, no further than it may be long. Raises ProblemError 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise ProblemError(413, "TOO_LARGE", f"A body here has at most {bytes_max} bytes. Nothing was recorded.")
    return bytes(body)


def parse(model: type[Model], raw: bytes) -> Model:
    """Parse strictly: no unknown field, no key twice, no coercion. An empty body is ``{}``. Raises ProblemError 422."""
    raw = raw or b"{}"
    _check_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise malformed(error.errors(include_input=False, include_url=False, include_context=False), "body") from None
    except (KeyError, RecursionError, OverflowError):
        raise _not_json("a value is not one that exists, such as a time zone") from None


def read_moment(text: str | None) -> datetime | None:
    """Read the ``Occurred-At`` header. Raises ProblemError 422."""
    if text is None:
        return None
    try:
        if _RFC3339.fullmatch(text):
            return to_utc(datetime.fromisoformat(text))
    except ValueError:
        pass
    message = "Input should be a moment from 1900 to 2199 with its offset, such as 2026-01-31T09:30:00-05:00"
    raise malformed([{"loc": ("occurred-at",), "type": "datetime_parsing", "msg": message}], "header")


def _check_json(raw: bytes) -> None:
    try:
        json.loads(
            raw, object_pairs_hook=_unique, parse_int=_exact, parse_float=_finite, parse_constant=_no_such_number
        )
    except _UnfitError as error:
        raise _not_json(error.args[0]) from None
    except (ValueError, RecursionError):
        raise _not_json("it is not JSON in UTF-8") from None


class _UnfitError(Exception):
    """JSON that a record cannot carry. The message is ours."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _UnfitError("a field stands there twice")
    return found


def _exact(text: str) -> int:
    number = int(text) if len(text) < 20 else _EXACT_MAX + 1  # 2**53 has 16 digits
    if abs(number) > _EXACT_MAX:
        raise _UnfitError("an integer is beyond 2^53, where JSON is no longer exact")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _UnfitError("a number is too large")
    return number


def _no_such_number(_text: str) -> float:
    raise _UnfitError("NaN and Infinity are no JSON numbers")


def _not_json(why: str) -> ProblemError:
    return malformed([{"loc": (), "type": "json_invalid", "msg": f"This body cannot be read: {why}"}], "body")
