"""Canonical bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.envelope import Actor, Header, PolicyRef, Purpose, Role, Sensitivity
from tests.vault.records import content, header
from vault.canonical import canonical_json, content_bytes, header_bytes, parse_content, parse_header
from vault.errors import NotCanonicalError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40).filter(
    lambda text: text.strip() == text
)
moments = st.datetimes(
    datetime(1900, 1, 3),  # noqa: DTZ001 hypothesis adds the zone
    datetime(2199, 12, 29),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]),
)
headers = st.builds(
    Header,
    event_id=st.uuids(),
    journey_id=st.uuids(),
    sequence=st.integers(1, 2**40),
    type=st.from_regex(r"[a-z0-9_]+\.v[0-9]+", fullmatch=True),
    occurred_at=moments,
    recorded_at=moments,
    actor=st.builds(
        Actor,
        subject=texts,
        role=st.sampled_from(Role),
        credential=st.none() | texts,
        authenticated_at=st.none() | moments,
        methods=st.lists(texts, max_size=3).map(tuple),
    ),
    purpose=st.sampled_from(Purpose),
    command_id=st.uuids(),
    causation_id=st.none() | st.uuids(),
    policy=st.builds(PolicyRef, version=texts, digest=st.just("0f" * 32)),
    sensitivity=st.sampled_from(Sensitivity),
    key_version=st.integers(1, 9),
)


@given(headers)
def test_a_header_round_trips_exactly(given_header: Header) -> None:
    """A header comes back from its bytes equal, and gives the very same bytes again."""
    encoded = header_bytes(given_header)

    assert given_header == parse_header(encoded)
    assert encoded == header_bytes(parse_header(encoded))


def test_the_bytes_of_a_header_never_change() -> None:
    """A header keeps the bytes of the first release: a build that spells it otherwise breaks every chain."""
    expected = (
        '{"actor":{"authenticated_at":"2026-03-02T09:00:00.000500Z","methods":["pwd","otp"],"role":"coordinator",'
        '"subject":"subject-7-é"},"command_id":"d986e27f-333b-4d2b-bdb8-21c204e8d042",'
        '"event_id":"0772b9f0-811e-5883-baf0-306ebf737b78","journey_id":"0190aaaa-0000-7000-8000-000000000001",'
        '"key_version":1,"occurred_at":"2026-03-02T09:01:00.000500Z","policy":{"digest":"' + "cd" * 32 + '",'
        '"version":"2026-01"},"purpose":"TREAT","recorded_at":"2026-03-02T09:01:01.000500Z","sensitivity":"psy",'
        '"sequence":1,"type":"consent_recorded.v1"}'
    )
    command_id = UUID("d986e27f-333b-4d2b-bdb8-21c204e8d042")

    assert expected.encode() == header_bytes(header(command_id=command_id))


def test_whole_seconds_keep_their_six_digits() -> None:
    """A moment is spelt with six digits also when they are zeros, and in UTC whatever zone it came in."""
    moment = datetime(2026, 3, 2, 2, 0, tzinfo=timezone(timedelta(hours=-7)))

    encoded = header_bytes(header().model_copy(update={"recorded_at": moment}))

    assert b'"recorded_at":"2026-03-02T09:00:00.000000Z"' in encoded


def test_a_zero_character_is_refused() -> None:
    """A header text with U+0000 is refused before it can wedge an append."""
    bad = header().model_copy(update={"actor": Actor.model_construct(subject="a\x00b", role=Role.PATIENT)})

    with pytest.raises(NotCanonicalError, match=r"U\+0000"):
        header_bytes(bad)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts, st.lists, max_leaves=8))
def test_a_content_round_trips(value: object) -> None:
    """Content data comes back equal, with its nulls and its order of lists."""
    given_content = content({"value": value})

    assert given_content == parse_content(content_bytes(given_content))


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800", object()])
def test_what_has_no_canonical_form_is_refused_without_quoting_it(value: object) -> None:
    """A value without canonical bytes is refused, and the message does not repeat it."""
    with pytest.raises(NotCanonicalError) as error:
        canonical_json({"finding": value})

    assert error.value.__cause__ is None
    assert "finding" not in str(error.value)
    assert str(2**60) not in str(error.value)
