"""The work that is measured: V1's whole course (domain.md §9), as the domain's own tests live it.

Nothing here is made up for speed: the same commands on the same dates, the same events, the same worklists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from domain import journey as rules
from domain.envelope import GENESIS, AppendRequest, EventRecord
from domain.journey import Journey, State
from domain.journey.dosing import StartDosing
from domain.journey.messages import Command, Context
from store.log import _parameters  # what travels to the server: measured apart from making it
from tests.domain import v1
from tests.domain.kit import Story
from vault.keys import DataKey

KEY = DataKey(uuid4(), 1, bytes(range(32)))


class WitnessedStory(Story):
    """A story that also keeps in which context each of its commands was decided."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: tuple[Context, ...] = ()

    def _context(self, *arguments: Any) -> Context:
        ctx = super()._context(*arguments)
        self.contexts += (ctx,)
        return ctx


@dataclass(frozen=True)
class Course:
    """One lived course: where it began, what was asked, and everything that was recorded."""

    initial: State
    asked: tuple[tuple[Command, Context], ...]
    records: tuple[EventRecord, ...]

    def before_the_last_dose(self) -> tuple[State, Command, Context]:
        """Give the state in which the last dose was allowed through all gates, and that command."""
        command, ctx = [(one, ctx) for one, ctx in self.asked if isinstance(one, StartDosing)][-1]
        earlier = [record for record in self.records if record.header.recorded_at < ctx.now]
        return rules.fold(self.initial, earlier), command, ctx


@dataclass(frozen=True)
class Step:
    """One append, ready to be sent in three ways: as a request, as the statement's parameters, as bare bytes."""

    request: AppendRequest
    parameters: Mapping[str, Any]
    stored: bytes


def live_v1() -> Course:
    """Live the whole course through the pure domain."""
    # The tests' story checks itself at every step; it is lived once, outside of every clock.
    with patch.object(v1, "Story", WitnessedStory):
        story = v1.completed()
    assert isinstance(story, WitnessedStory)
    return Course(story.initial, tuple(zip(story.commands, story.contexts, strict=True)), story.records)


def appends(course: Course, journey_id: UUID, most: int | None = None) -> list[Step]:
    """Make the appends of the course, command by command, for a journey of its own; the first ``most`` when told."""
    steps: list[Step] = []
    head = GENESIS
    for request in _requests(course, journey_id):
        if len(steps) == most:
            break
        parameters = _parameters(request.model_copy(update={"expected_head": head}), KEY)
        stored = b"".join((*parameters["headers"], *parameters["ciphertexts"], *parameters["hashes"]))
        steps.append(Step(request.model_copy(update={"expected_head": head}), parameters, stored))
        head = parameters["hashes"][-1].hex()
    return steps


def _requests(course: Course, journey_id: UUID) -> Iterator[AppendRequest]:
    """Make the requests, with ids that no other journey has and heads that are yet to be set."""
    state = course.initial
    for _, group in groupby(course.records, lambda record: record.header.command_id):
        records = tuple(group)
        state = rules.fold(state, records)
        assert isinstance(state, Journey)
        summary, worklist = rules.project(state)
        yield AppendRequest(
            journey_id=journey_id,
            expected_head=GENESIS,
            records=_moved(records, journey_id),
            summary=summary.model_copy(update={"journey_id": journey_id}),
            worklist=worklist,
        )


def _moved(records: tuple[EventRecord, ...], journey_id: UUID) -> tuple[EventRecord, ...]:
    command_id = uuid4()
    return tuple(
        EventRecord(
            header=record.header.model_copy(
                update={"journey_id": journey_id, "command_id": command_id, "event_id": uuid4()}
            ),
            content=record.content,
        )
        for record in records
    )
