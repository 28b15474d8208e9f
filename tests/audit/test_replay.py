"""What a running stack has decided, this build decides again; and its past can be looked at."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from audit.histories import histories
from audit.replay import replay
from audit.report import NOTHING_CHECKED, OK, UNAVAILABLE
from audit.views import Moment, as_of, timeline
from tests.audit.conftest import Clinic


async def test_every_run_replays_strictly(clinic: Clinic) -> None:
    """All runs of both journeys are replayed, also the ones that still run, and each command is the same."""
    runs = [len(await histories(clinic.client, journey)) for journey in (clinic.journey, clinic.other)]
    report = await replay(clinic.client, clinic.keys)

    assert [] == report.findings
    assert OK == report.exit_code
    assert 2 <= runs[0], "the journey went on into another run"
    assert sum(runs) == report.counts["runs"]
    assert 4 * sum(runs) < report.counts["commands_compared"]


async def test_a_journey_without_history_is_not_ok(clinic: Clinic) -> None:
    """What Temporal has nothing of was not replayed, and is not called ok."""
    report = await replay(clinic.client, clinic.keys, [uuid4()])

    assert [NOTHING_CHECKED] == [found.code for found in report.findings]
    assert UNAVAILABLE == report.exit_code


async def test_timeline_shows_headers_and_contents_only_when_asked(clinic: Clinic) -> None:
    """Every event stands in the timeline in order; what it says is there with keys and absent without."""
    closed = await timeline(clinic.log, None, clinic.journey)
    opened = await timeline(clinic.log, clinic.keys, clinic.journey)

    assert list(range(1, len(closed.view) + 1)) == [line["sequence"] for line in closed.view]
    assert ["journey_opened.v1", "referral_submitted.v1"] == [line["type"] for line in closed.view[:2]]
    assert not any("data" in line for line in closed.view)
    assert "Trillian" not in str(closed.view)
    assert "Trillian" == opened.view[1]["data"]["patient"]["name"]["given"]


async def test_as_of_a_sequence_is_the_fold_up_to_it(clinic: Clinic) -> None:
    """After the referral alone the journey is referred; at its end it is being onboarded."""
    rows = await clinic.log.events.read_raw(clinic.journey)
    early = await as_of(clinic.log, clinic.keys, clinic.journey, Moment(sequence=2))
    late = await as_of(clinic.log, clinic.keys, clinic.journey, Moment(sequence=len(rows)))

    assert ("referred", 2, len(rows) - 2) == (early.view["stage"], early.view["version"], early.view["events_after"])
    assert ("onboarding", len(rows), 0) == (late.view["stage"], late.view["version"], late.view["events_after"])
    assert ["ACKNOWLEDGE_REFERRAL"] == [item["code"] for item in early.view["owed_by_people"]]


async def test_as_of_a_time_takes_what_was_recorded_until_then(clinic: Clinic) -> None:
    """The very moment of a record includes it; a microsecond earlier does not; before the first there is nothing."""
    rows = await clinic.log.events.read_raw(clinic.journey)
    at, tick = rows[2].recorded_at, timedelta(microseconds=1)
    then = await as_of(clinic.log, clinic.keys, clinic.journey, Moment(time=at))
    before = await as_of(clinic.log, clinic.keys, clinic.journey, Moment(time=at - tick))
    never = await as_of(clinic.log, clinic.keys, clinic.journey, Moment(time=rows[0].recorded_at - tick))

    assert sum(row.recorded_at <= at for row in rows) == then.view["version"]
    assert 2 == before.view["version"]
    assert [NOTHING_CHECKED] == [found.code for found in never.findings]
