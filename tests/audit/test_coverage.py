"""How far histories reach, and what is said of what lies beyond: on golden histories, without any server."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from temporalio.api.history.v1 import HistoryEvent

from audit.compare import Comparison, compare, compare_opened
from audit.histories import Run, appends, opened
from audit.replay import replay
from audit.report import NOTHING_CHECKED, OK, UNAVAILABLE
from audit.verify import verify
from domain.envelope import EventRecord
from store.log import StoredEvent
from tests.audit.conftest import Clinic
from tests.replay.clinic import GoldenKeys
from tests.replay.goldens import goldens
from vault.canonical import header_bytes
from vault.chain import GENESIS_HASH, link
from vault.errors import KeyShreddedError
from vault.keys import DataKey
from vault.sealing import seal

GOLDEN = goldens()[0]


class Side:
    """A golden, as both ledgers have it."""

    def __init__(self, runs: list[Run], key: DataKey) -> None:
        self.runs, self.key = runs, key
        records = [record for run in runs for append in appends(run) for record in append.request.records]
        self.rows: dict[int, StoredEvent] = {}
        previous = GENESIS_HASH
        for record in records:
            row = stored(record, previous, key)
            self.rows[row.sequence], previous = row, row.hash

    def compared(self, runs: list[Run] | None = None, rows: dict[int, StoredEvent] | None = None) -> Comparison:
        """What comparing these says; everything by default."""
        out = Comparison(GOLDEN.journey_id)
        chosen = self.rows if rows is None else rows
        compare_opened(out, chosen, self.runs if runs is None else runs, self.key, set(chosen))
        return out


def stored(record: EventRecord, previous: bytes, key: DataKey) -> StoredEvent:
    """The row of a record."""
    h = record.header
    header, ciphertext = header_bytes(h), seal(key, h, record.content)
    return StoredEvent(
        *(header, ciphertext, link(previous, header, ciphertext), h.journey_id, h.sequence, h.event_id, h.type),
        *(h.occurred_at, h.recorded_at, h.actor.subject, h.actor.role.value, h.purpose.value, h.command_id),
        *(h.causation_id, h.policy.version, h.sensitivity.value, h.key_version),
    )


@pytest.fixture
async def side() -> Side:
    """Open the golden."""
    keys = GoldenKeys()
    key = await keys.key_for_journey(GOLDEN.journey_id)
    return Side([await opened(run, keys, GOLDEN.namespace) for run in GOLDEN.runs], key)


def terminated_in_flight(run: Run) -> Run:
    """The run, terminated right after it had scheduled its last append."""
    last = appends(run)[-1].event_id
    events = [event for event in run.events if event.event_id <= last]
    end = HistoryEvent(event_id=last + 1)
    end.workflow_execution_terminated_event_attributes.reason = "stuck"
    return Run(run.history, [*events, end])


def test_a_whole_history_covers_every_event(side: Side) -> None:
    """With every run kept, each row is compared and nothing is left over."""
    out = side.compared()

    assert [] == out.findings
    assert (len(side.rows), 0) == (out.compared, out.not_covered)


def test_a_run_that_is_gone_is_coverage(side: Side) -> None:
    """Rows of a run whose retention is over are counted as not covered, and are no finding."""
    first = sum(len(append.request.records) for append in appends(side.runs[0]))
    out = side.compared(runs=side.runs[1:])

    assert [] == out.findings
    assert first == out.not_covered
    assert len(side.rows) - first == out.compared


def test_an_append_in_flight_at_a_termination_is_told(side: Side) -> None:
    """Decided and never acknowledged: told with its sequence, whether it reached the log or not, and no finding."""
    runs = [*side.runs[:-1], terminated_in_flight(side.runs[-1])]
    decided = appends(runs[-1])[-1].request.records
    without = {n: row for n, row in side.rows.items() if n < decided[0].header.sequence}
    reached, lost = side.compared(runs=runs), side.compared(runs=runs, rows=without)

    for out, stands in ((reached, "stands in the log"), (lost, "is not in the log")):
        assert [] == out.findings
        assert 1 == out.unacknowledged
        assert f"event {decided[0].header.sequence}: decided, never acknowledged" in out.notes[0]
        assert stands in out.notes[0]


def test_an_append_in_flight_in_a_running_run_is_nothing(side: Side) -> None:
    """A journey that is waiting for its log has nothing wrong with it."""
    run = terminated_in_flight(side.runs[-1])
    out = side.compared(runs=[*side.runs[:-1], Run(run.history, run.events[:-1])])

    assert [] == out.findings
    assert 0 == out.unacknowledged


def test_a_row_that_no_append_wrote_is_found(side: Side) -> None:
    """Without its append in a run that is kept, a row is a finding at its sequence."""
    missing = appends(side.runs[0])[1]
    events = [event for event in side.runs[0].events if event.event_id != missing.event_id]
    out = side.compared(runs=[Run(side.runs[0].history, events), *side.runs[1:]])
    sequences = [record.header.sequence for record in missing.request.records]

    assert [("NOT_IN_HISTORY", sequence) for sequence in sequences] == [(f.code, f.sequence) for f in out.findings]


class ErasedKeys:
    """A key source of a patient who has been erased."""

    async def key_for_journey(self, journey_id: UUID) -> DataKey:
        raise KeyShreddedError("destroyed")

    async def key_by_id(self, key_id: UUID) -> DataKey:
        raise KeyShreddedError("destroyed")

    async def system_key(self) -> DataKey:
        raise KeyShreddedError("destroyed")


async def test_an_erased_patient_still_verifies(clinic: Clinic) -> None:
    """Without the destroyed key chains and columns are proved, contents are not, and that is said and is ok."""
    report = await verify(clinic.log, ErasedKeys())

    assert OK == report.exit_code
    assert (2, 2, 0) == tuple(report.counts[n] for n in ("journeys", "journeys_erased", "contents_opened"))


async def test_an_erased_patient_is_not_called_compared(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare and replay cannot open what was erased: they say so instead of ok, and still see a log cut short."""
    reports: list[Any] = [
        await compare(clinic.log, ErasedKeys(), clinic.client),
        await replay(clinic.client, ErasedKeys()),
    ]

    assert [[NOTHING_CHECKED]] * 2 == [[found.code for found in report.findings] for report in reports]
    assert [UNAVAILABLE] * 2 == [report.exit_code for report in reports]
    assert 2 == reports[0].counts["journeys_erased"]
    assert 3 <= reports[1].counts["runs_erased"]
