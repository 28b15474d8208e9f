"""I7: what has been stored can be read for ever, so a stored type never changes its shape and never disappears."""

from __future__ import annotations

import pytest
from pydantic import Field

from domain.journey import EVENTS, UPCASTS
from domain.journey.messages import Event
from tests.domain.stored_types import digest, read

HOW = "give it a new version and an upcast; for a new type run: python -m tests.domain.stored_types"


def test_no_stored_type_changes_its_shape() -> None:
    """Every type that this build writes has the shape that was filed when it was new."""
    stored = read()
    changed = [name for name, event in EVENTS.items() if stored.get(name) != digest(event)]

    assert [] == changed, HOW


def test_no_stored_type_disappears() -> None:
    """Every filed type is one this build writes, or one it knows how to read."""
    assert set() == read().keys() - EVENTS.keys() - UPCASTS.keys(), HOW


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_stored_type_is_named_after_its_class(name: str) -> None:
    """``PrescriptionDelivered`` is stored as ``prescription_delivered`` with a version."""
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in EVENTS[name].__name__).removeprefix("_")

    assert (words, True) == (name.rpartition(".v")[0], name.rpartition(".v")[2].isdigit())


def test_the_digest_sees_a_field_and_no_prose() -> None:
    """A renamed field or another limit changes the digest; a better description does not."""

    class One(Event, type="one.v1"):
        mg: float = Field(gt=0, description="milligrams")

    class Same(Event, type="one.v1"):
        """What is taken."""

        mg: float = Field(gt=0, description="mg of the substance")

    class Renamed(Event, type="one.v1"):
        milligrams: float = Field(gt=0)

    class Looser(Event, type="one.v1"):
        mg: float

    assert digest(One) == digest(Same)
    assert digest(One) not in {digest(Renamed), digest(Looser)}
