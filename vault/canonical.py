"""One spelling for every value that is hashed or sealed, so that the same fact is the same bytes on every build.

RFC 8785 fixes the JSON; what it leaves open is fixed here: a moment is RFC 3339 in UTC with six digits and a ``Z``, and
a field without a value is left out. So a header field that a later build adds as optional changes no byte of an old
header.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import rfc8785

from domain.envelope import Content, Header
from vault.errors import NotCanonicalError


def canonical_json(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises:
        NotCanonicalError: it holds NaN, an integer beyond 2**53 - 1, a lone surrogate, or something that is not JSON.

    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        # The library's message quotes the value, which may be clinical: the chain of causes is cut on purpose.
        raise NotCanonicalError(
            f"A value has no RFC 8785 form ({type(error).__name__}); check numbers and text where it is parsed."
        ) from None


def header_bytes(header: Header) -> bytes:
    """The bytes of a header that are stored and chained.

    Raises:
        NotCanonicalError: a text in it holds U+0000, which the log's columns cannot carry.

    """
    encoded = canonical_json(_plain(header.model_dump()))
    if b"\\u0000" in encoded:
        raise NotCanonicalError("A header text holds U+0000, which PostgreSQL cannot store; refuse it where it enters.")
    return encoded


def parse_header(encoded: bytes) -> Header:
    """The header that these stored bytes stand for; ``header_bytes`` of it gives the same bytes again."""
    return Header.model_validate_json(encoded)


def content_bytes(content: Content) -> bytes:
    """The bytes of a content before it is sealed."""
    return canonical_json({"data": content.data, "request_digest": content.request_digest})


def parse_content(encoded: bytes) -> Content:
    """The content that these opened bytes stand for."""
    return Content.model_validate_json(encoded)


def _plain(value: Any) -> Any:
    """A dumped model as JSON values, with one spelling for moments and without empty fields."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case dict():
            return {key: _plain(each) for key, each in value.items() if each is not None}
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value
