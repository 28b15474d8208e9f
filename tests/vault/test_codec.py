"""The Temporal payload codec."""

from __future__ import annotations

import dataclasses
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)

from tests.vault.records import JOURNEY, KEY, Keys
from vault.codec import ENCODING, KEY_ID, OWNER, JourneyCodec, owner_of
from vault.errors import KeyUnknownError, PayloadMisplacedError, SealBrokenError
from vault.keys import DataKey

OTHER = UUID("0190aaaa-0000-7000-8000-000000000002")
KEYS = Keys({JOURNEY: KEY, OTHER: DataKey(uuid4(), 1, b"o" * 32)})


def workflow(workflow_id: str) -> WorkflowSerializationContext:
    """Give the context of a workflow's own payloads."""
    return WorkflowSerializationContext(namespace="default", workflow_id=workflow_id)


def activity(workflow_id: str | None) -> ActivitySerializationContext:
    """Give the context of an activity's payloads, in a workflow or alone."""
    return ActivitySerializationContext(
        namespace="default",
        activity_id="1",
        activity_type="append_events",
        activity_task_queue="journeys",
        workflow_id=workflow_id,
        workflow_type="Journey",
        is_local=False,
    )


def codec(context: SerializationContext | None = None) -> JourneyCodec:
    """Make the codec as an SDK would use it."""
    return JourneyCodec(KEYS).with_context(context) if context else JourneyCodec(KEYS)


HERE = workflow(f"journey/{JOURNEY}")
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"private"')


@given(st.binary(), st.binary(min_size=1, max_size=20))
async def test_any_payload_round_trips(data: bytes, encoding: bytes) -> None:
    """Whatever bytes and encoding a payload has, it comes back equal."""
    payload = Payload(metadata={"encoding": encoding}, data=data)

    assert [payload] == await codec(HERE).decode(await codec(HERE).encode([payload]))


@given(st.text())
async def test_any_text_round_trips_through_the_converter(text: str) -> None:
    """Text that looks like a number, null or true stays that text through the whole data converter."""
    converter = dataclasses.replace(DataConverter.default, payload_codec=JourneyCodec(KEYS)).with_context(HERE)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()

    assert [text] == await converter.decode(await converter.encode([text]), [str])


async def test_a_journeys_payload_says_whose_it_is_and_nothing_else() -> None:
    """A journey's payload carries encoding, key id and journey in clear; its content stands nowhere in it."""
    (sealed,) = await codec(HERE).encode([PLAIN])

    assert {"encoding": ENCODING, KEY_ID: str(KEY.key_id).encode(), OWNER: str(JOURNEY).encode()} == dict(
        sealed.metadata
    )
    assert b"private" not in sealed.SerializeToString()


async def test_the_same_payload_never_looks_the_same_twice() -> None:
    """Every payload has a fresh nonce."""
    first, second = await codec(HERE).encode([PLAIN, PLAIN])

    assert first.data[:12] != second.data[:12]
    assert first.data[12:] != second.data[12:]


@pytest.mark.parametrize(
    "workflow_id",
    [f"journey/{JOURNEY}/escalation/2", f"x-journey/{JOURNEY}", "journey/", "bulk/3", f"journey/{JOURNEY}\n", "", None],
)
async def test_what_is_no_journey_is_sealed_for_the_system(workflow_id: str | None) -> None:
    """Escalations, schedules, bulk operations and lone activities use the system's key."""
    (sealed,) = await codec(activity(workflow_id)).encode([PLAIN])

    assert b"system" == sealed.metadata[OWNER]
    assert str(KEYS.system.key_id).encode() == sealed.metadata[KEY_ID]
    assert [PLAIN] == await codec(activity(workflow_id)).decode([sealed])


async def test_without_a_context_the_system_seals() -> None:
    """A payload of no workflow is the system's."""
    (sealed,) = await codec().encode([PLAIN])

    assert b"system" == sealed.metadata[OWNER]


def test_a_journeys_id_is_read_whatever_its_letters() -> None:
    """An upper-case uuid is the same journey, and never falls to the system's key."""
    assert str(JOURNEY) == owner_of(f"journey/{str(JOURNEY).upper()}")


async def test_an_activity_opens_what_its_workflow_sealed() -> None:
    """A workflow and its activities share a journey's payloads."""
    sealed = await codec(HERE).encode([PLAIN])

    assert [PLAIN] == await codec(activity(f"journey/{JOURNEY}")).decode(sealed)


@pytest.mark.parametrize("elsewhere", [f"journey/{OTHER}", f"journey/{JOURNEY}/escalation/1"])
async def test_another_workflow_refuses_a_journeys_payload(elsewhere: str) -> None:
    """A payload moved into another workflow's history is refused, though its key is at hand."""
    sealed = await codec(HERE).encode([PLAIN])

    with pytest.raises(PayloadMisplacedError, match=str(JOURNEY)):
        await codec(workflow(elsewhere)).decode(sealed)


async def test_the_codec_server_opens_by_metadata_alone() -> None:
    """Without a context a payload opens by what its metadata says."""
    sealed = [*await codec(HERE).encode([PLAIN]), *await codec().encode([PLAIN])]

    assert [PLAIN, PLAIN] == await codec().decode(sealed)


@pytest.mark.parametrize(
    ("field", "value"),
    [(OWNER, str(OTHER).encode()), (OWNER, b"system"), (KEY_ID, str(KEYS.system.key_id).encode()), (OWNER, b"\xff")],
)
async def test_changed_metadata_does_not_open(field: str, value: bytes) -> None:
    """Nobody can relabel a payload: owner and key id are authenticated."""
    (sealed,) = await codec(HERE).encode([PLAIN])
    sealed.metadata[field] = value

    with pytest.raises(SealBrokenError):
        await codec().decode([sealed])


@given(st.data())
async def test_a_changed_byte_does_not_open(data: st.DataObject) -> None:
    """Any flipped bit of a sealed payload is refused, and the message does not quote it."""
    (sealed,) = await codec(HERE).encode([PLAIN])
    changed = bytearray(sealed.data)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    sealed.data = bytes(changed)

    with pytest.raises(SealBrokenError) as error:
        await codec(HERE).decode([sealed])
    assert "private" not in str(error.value)


async def test_a_payload_without_its_labels_is_refused() -> None:
    """A payload that claims our encoding without saying whose it is, is refused."""
    with pytest.raises(SealBrokenError, match=OWNER):
        await codec().decode([Payload(metadata={"encoding": ENCODING}, data=b"?")])


async def test_other_encodings_pass_through() -> None:
    """What we did not seal is not ours to judge."""
    others = [PLAIN, Payload(), Payload(metadata={"encoding": b"binary/null"})]

    assert others == await codec(HERE).decode(others)


async def test_a_journey_without_a_key_is_not_sealed_for_anyone_else() -> None:
    """An unknown journey is an error, never a fall back to the system's key."""
    with pytest.raises(KeyUnknownError):
        await codec(workflow(f"journey/{uuid4()}")).encode([PLAIN])
