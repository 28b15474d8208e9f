"""Commands and events as JSON: the same when they come back, closed to unknown fields, strict about types."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import journey as rules
from domain.codes import Code
from domain.envelope import CommandEnvelope, Role
from domain.journey import COMMANDS, FACTS, MESSAGES
from domain.journey.messages import Fact
from tests.domain import stages, v1
from tests.domain.kit import ACTORS, refused
from tests.domain.samples import ALL, body

WRONG: dict[str, tuple[object, ...]] = {
    "integer": ("7", False, 7.5, None, [7]),
    "number": ("7", True, None),
    "boolean": (0, 1, "true", None),
    "string": (7, False, None, {}),
}
"""For each JSON type, what looks like it and is not: false is not 0."""


BODIES = {name: body(name) for name in ALL}


def test_everything_said_and_stored_in_a_whole_course_survives_json() -> None:
    """Every command that V1 sends and every event that it stores comes back as it went."""
    story = v1.completed()
    stored = [(record.header.type, record.content.data) for record in story.records]
    sent = [(command.name, json.loads(command.model_dump_json())) for command in story.commands]

    for name, data in stored + sent:
        assert data == json.loads(ALL[name].model_validate_json(json.dumps(data)).model_dump_json())


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_message_survives_json(name: str) -> None:
    """What comes back from JSON is equal to what went in, for every command, fact and event."""
    message = ALL[name].model_validate_json(json.dumps(BODIES[name]))

    assert message == ALL[name].model_validate_json(message.model_dump_json())


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_unknown_field_is_refused(name: str) -> None:
    """A field that the message does not know is an error, never ignored."""
    surprising = BODIES[name] | {"surprise": 1}

    with pytest.raises(ValidationError, match="surprise"):
        ALL[name].model_validate_json(json.dumps(surprising))


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_message_is_closed_and_frozen(name: str) -> None:
    """Also those that V1 never sends: closed to unknown fields, strict, and immutable."""
    config = ALL[name].model_config

    assert ("forbid", True, True) == (config.get("extra"), config.get("strict"), config.get("frozen"))


def wrong_types() -> list[tuple[str, str, object]]:
    """Every field with a plain JSON type, with each value that only looks like one."""
    cases: list[tuple[str, str, object]] = []
    for name in sorted(ALL):
        for field, schema in ALL[name].model_json_schema().get("properties", {}).items():
            cases += [(name, field, wrong) for wrong in WRONG.get(schema.get("type", ""), ())]
    return cases


def test_a_wrong_type_is_refused() -> None:
    """In every field of every message: a number in quotes is no number, false is not 0, 1 is not true."""
    taken = []
    for name, field, wrong in wrong_types():
        try:
            ALL[name].model_validate_json(json.dumps(BODIES[name] | {field: wrong}))
        except ValidationError:
            continue
        taken.append((name, field, wrong))

    assert [] == taken
    assert 300 < len(wrong_types())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("record_dose", '{"session_id": "00000000-0000-0000-0000-000000000001", "lot": "L", "mg": %s}'),
        ("record_measurements", '{"weight_kg": %s, "height_cm": 170}'),
        ("decide_predose_vitals", '{"decision": "proceed", "rationale": "x", "dose_fraction_max": %s}'),
        (
            "draft_prescription",
            '{"draft": {"strength_mg": %s, "quantity": 1, "sig": "x", "dose_mg": 1, "sessions_authorised": 1}}',
        ),
        ("decide_eligibility", '{"outcome": "eligible", "criteria": [], "rationale": "x", "dose_ceiling_mg": %s}'),
    ],
)
def test_no_clinical_number_is_infinite(name: str, text: str, number: str) -> None:
    """Neither infinity nor "not a number" is a dose, a weight or a limit."""
    with pytest.raises(ValidationError, match=r"finite|greater than|less than"):
        MESSAGES[name].model_validate_json(text % number)


def test_a_moment_has_a_zone_and_is_no_number() -> None:
    """A naive time, a Unix time and a date are no moments."""
    booking: dict[str, object] = {"kind": "dosing", "minutes": 60}

    for wrong in ("2026-01-01T10:00:00", 1767225600, "2026-01-01"):
        with pytest.raises(ValidationError, match="starts_at"):
            MESSAGES["schedule_session"].model_validate_json(json.dumps(booking | {"starts_at": wrong}))


@pytest.mark.parametrize("who", ["patient", "prescriber"])
def test_an_unknown_zone_is_malformed(who: str) -> None:
    """A zone that does not exist is found where it enters, not in the middle of a signature years later."""
    patient = json.loads(stages.REFERRAL.model_dump_json())
    patient["patient"]["time_zone"] = "America/Nowhere"
    prescriber = {"prescriber": json.loads(stages.PRESCRIBER.model_dump_json()) | {"time_zone": "America"}}
    name, wrong = ("submit_referral", patient) if who == "patient" else ("assign_prescriber", prescriber)
    envelope = CommandEnvelope(command_id=UUID(int=1), name=name, actor=ACTORS[Role.COORDINATOR], body=wrong)

    with pytest.raises(ValidationError, match="time_zone"):
        rules.parse_command(envelope)


def test_the_registries_part_people_from_systems() -> None:
    """A person's commands, an outside system's facts, and the system's own messages are three sets."""
    own = MESSAGES.keys() - COMMANDS.keys() - FACTS.keys()

    assert {"tick", "record_effect", "expire_effect"} == own
    assert not COMMANDS.keys() & FACTS.keys()
    assert all(issubclass(fact, Fact) and fact.roles == {Role.OUTSIDE} for fact in FACTS.values())
    assert all(Role.SYSTEM not in command.roles for command in COMMANDS.values())


@given(role=st.sampled_from(sorted(Role)), name=st.sampled_from(sorted(MESSAGES)))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_command_of_another_role_is_refused(role: Role, name: str) -> None:
    """Whoever may not send a command is refused by ROLE, whatever it says and wherever the journey stands."""
    command = MESSAGES[name].model_validate_json(json.dumps(BODIES[name]))
    answer = refused(v1.prepared().do(command, role))

    assert role in command.roles or answer is Code.ROLE
