"""State is a fold of records and of nothing else: wherever it is cut, and only in their order (I2, I5, I7)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import journey as rules
from domain.envelope import EventRecord
from domain.journey import HistoryCorruptError, Journey
from domain.journey.referral import ReferralAccepted
from domain.values import Json
from tests.domain import v1
from tests.domain.kit import Story


@given(cut=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_fold_may_be_cut_anywhere(cut: int) -> None:
    """Folding all of V1 equals folding a part, taking its state through JSON, and folding the rest onto it."""
    story = v1.completed()
    at = cut % (len(story.records) + 1)
    before = rules.fold(story.initial, story.records[:at])
    restored = type(before).model_validate_json(before.model_dump_json())

    assert story.state == rules.fold(restored, story.records[at:])


@pytest.mark.parametrize("wrong", ["skipped", "repeated", "swapped"])
def test_records_fold_in_their_order_only(wrong: str) -> None:
    """A gap, a repetition or a swap is a damaged log, and is refused."""
    story = v1.opened()
    first, second, third, *_ = story.records
    orders = {"skipped": [first, third], "repeated": [first, first], "swapped": [second, first]}

    with pytest.raises(HistoryCorruptError, match="cannot follow version"):
        rules.fold(story.initial, orders[wrong])


def renumbered(record: EventRecord, sequence: int) -> EventRecord:
    """The same event at another place."""
    return record.model_copy(update={"header": record.header.model_copy(update={"sequence": sequence})})


def test_nothing_comes_before_the_opening() -> None:
    """An event of an open journey cannot be the first, nor the second before the referral."""
    story = v1.opened()
    third = story.records[2]

    with pytest.raises(HistoryCorruptError, match="before the journey was opened"):
        rules.fold(story.initial, [renumbered(third, 1)])
    with pytest.raises(HistoryCorruptError, match="before the journey was opened"):
        rules.fold(story.initial, [story.records[0], renumbered(third, 2)])


def test_a_journey_is_opened_once() -> None:
    """A second opening, and a second acknowledgement, cannot follow."""
    story = v1.opened()
    again = [story.records[0], story.records[2]]

    for record in again:
        with pytest.raises(HistoryCorruptError):
            rules.evolve(story.state, renumbered(record, story.state.version + 1))


def last_of(story: Story, changed: Callable[[EventRecord], EventRecord]) -> EventRecord:
    """The journey's last event, changed, as its next."""
    return changed(renumbered(story.records[-1], story.state.version + 1))


def test_an_unknown_type_names_itself() -> None:
    """A type of a newer build is refused by name, never skipped."""
    story = v1.opened()
    strange = last_of(
        story, lambda r: r.model_copy(update={"header": r.header.model_copy(update={"type": "moon_phase_noted.v1"})})
    )

    with pytest.raises(HistoryCorruptError, match=r"moon_phase_noted\.v1"):
        rules.evolve(story.state, strange)


def test_a_damaged_event_is_told_without_what_it_holds() -> None:
    """What does not fit its type is an error that names the field and repeats no value."""
    data: Json = {"systolic": "SECRET", "diastolic": 80, "heart_rate": 70}

    with pytest.raises(HistoryCorruptError, match="systolic") as error:
        rules.parse_event("vitals_recorded.v1", data)

    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None


def test_an_old_shape_is_read_as_the_new_one() -> None:
    """I7: upcasts are followed from version to version until a type is met that this build writes."""

    def first(data: Json) -> tuple[str, Json]:
        return "referral_waved_through.v2", {**data, "note": "renamed"}

    def second(data: Json) -> tuple[str, Json]:
        return "referral_accepted.v1", {name: value for name, value in data.items() if name not in {"note", "old"}}

    table: dict[str, rules.Upcast] = {"referral_waved_through.v1": first, "referral_waved_through.v2": second}

    assert ReferralAccepted() == rules.parse_event("referral_waved_through.v1", {"old": 1}, table)
    with pytest.raises(HistoryCorruptError):
        rules.parse_event("referral_waved_through.v1", {"old": 1})


def test_the_state_cannot_be_changed_by_hand() -> None:
    """It is frozen, all the way down."""
    journey = v1.completed().journey

    for value, name in ((journey, "version"), (journey.holds, "open"), (journey.patient.address, "state")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(value, name, 1)


def test_a_snapshot_knows_what_it_is() -> None:
    """A journey's JSON does not read as a journey that was never opened, nor the other way round."""
    story = v1.opened()

    with pytest.raises(ValueError, match="kind"):
        type(story.initial).model_validate_json(story.state.model_dump_json())
    with pytest.raises(ValueError, match="kind"):
        Journey.model_validate_json(story.initial.model_dump_json())
    assert "journey" == json.loads(story.state.model_dump_json())["kind"]
