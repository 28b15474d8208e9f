"""``audit compare``: the log against Temporal's histories, event by event (architecture D10, §4).

Every field that is chained stands in the input of an ``append_events``, so the log's bytes are made again from the
history and compared: header, sealed content and chain head. What histories no longer cover (their retention is over,
or the journey was rehydrated or imported) is coverage, and said; what they cover must be the same on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from temporalio.client import Client, WorkflowHistory

from audit.histories import Append, Run, appends, histories, journeys, opened
from audit.ledgers import Log
from audit.report import KEY_UNKNOWN, Finding, Report
from runtime.names import JOURNEY_VERSION
from store.log import StoredEvent
from vault.canonical import header_bytes
from vault.chain import link
from vault.errors import KeyShreddedError, KeyUnknownError, VaultError
from vault.keys import DataKey, KeySource
from vault.sealing import seal

Progress = Callable[[UUID], None]
ENDLESS = 2**63


class Written(NamedTuple):
    """One event as a history says that it was written."""

    sequence: int
    header: bytes
    ciphertext: bytes
    hash: bytes
    place: str


@dataclass
class Comparison:
    """One journey's comparison: what differs, and how far the histories reach."""

    journey_id: UUID
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0
    not_covered: int = 0
    unacknowledged: int = 0
    runs: int = 0
    erased: bool = False

    def find(self, code: str, sequence: int | None, message: str) -> None:
        self.findings.append(Finding(code, self.journey_id, sequence, message))


async def compare(
    log: Log,
    keys: KeySource,
    client: Client,
    journey_ids: list[UUID] | None = None,
    *,
    progress: Progress = lambda _: None,
) -> Report:
    """Compare these journeys, or every one that either ledger knows. Raises TemporalUnavailableError, StoreError."""
    report = Report("audit compare")
    wanted = journey_ids or sorted({*await log.events.journey_ids(), *await journeys(client)})
    for journey_id in wanted:
        _count(report, await _journey(log, keys, client, journey_id))
        progress(journey_id)
    return report.finish("journeys")


def _count(report: Report, compared: Comparison) -> None:
    report.findings += compared.findings
    report.notes += compared.notes
    report.counts["journeys"] += not compared.erased and (compared.runs > 0 or bool(compared.findings))
    report.counts["journeys_erased"] += compared.erased
    report.counts["journeys_without_history"] += compared.runs == 0
    report.counts["runs"] += compared.runs
    report.counts["events_compared"] += compared.compared
    report.counts["events_not_covered"] += compared.not_covered
    report.counts["decisions_unacknowledged"] += compared.unacknowledged


async def _journey(log: Log, keys: KeySource, client: Client, journey_id: UUID) -> Comparison:
    # Journeys move while they are compared. What was in the log before must be in the histories read after it, and what
    # those hold as acknowledged must be in the log read after them.
    before = {row.sequence for row in await log.events.read_raw(journey_id)}
    sealed = await histories(client, journey_id)
    rows = {row.sequence: row for row in await log.events.read_raw(journey_id)}
    comparison = Comparison(journey_id, runs=len(sealed))
    if not rows and not sealed:
        comparison.find("JOURNEY_UNKNOWN", None, "neither ledger knows such a journey: check its id and environment")
        return comparison
    try:
        key = await keys.key_for_journey(journey_id)
        runs = [await opened(history, keys, client.namespace) for history in sealed]
    except KeyShreddedError:
        comparison.erased, comparison.not_covered = True, len(rows)
        comparison.notes.append(f"journey {journey_id}: erased on purpose; its histories cannot be opened any more")
        _in_clear(comparison, rows, sealed)
        return comparison
    except KeyUnknownError:
        comparison.find(KEY_UNKNOWN, None, "the key store has no key of this journey: restore the key database")
        return comparison
    except VaultError as error:
        comparison.find("HISTORY_BROKEN", None, f"a payload of a history does not open: {error}")
        return comparison
    compare_opened(comparison, rows, runs, key, before)
    return comparison


def compare_opened(
    out: Comparison, rows: dict[int, StoredEvent], runs: list[Run], key: DataKey, before: set[int]
) -> None:
    """Compare both sides of one journey, opened. ``before`` are the rows that stood when the histories were read."""
    sides = _Sides(out, rows, runs, key)
    sides.appended()
    sides.uncovered(before)


def _in_clear(out: Comparison, rows: dict[int, StoredEvent], sealed: list[WorkflowHistory]) -> None:
    """What can be compared without the key: the version that the journey last showed, which is never sealed."""
    upserts = (event.upsert_workflow_search_attributes_event_attributes for each in sealed for event in each.events)
    fields = (upsert.search_attributes.indexed_fields for upsert in upserts)
    shown = max((int(each[JOURNEY_VERSION.name].data) for each in fields if JOURNEY_VERSION.name in each), default=0)
    last = max(rows, default=0)
    if shown > last:
        out.find("MISSING_IN_LOG", last + 1, f"Temporal has shown version {shown}, and the log ends at {last}")


class _Sides:
    """Both sides of one journey, opened."""

    def __init__(self, comparison: Comparison, rows: dict[int, StoredEvent], runs: list[Run], key: DataKey) -> None:
        self._out = comparison
        self._rows = rows
        self._runs = runs
        self._key = key
        self._vouched: set[int] = set()

    def appended(self) -> None:
        """Every append that a history holds, against the rows."""
        for run in self._runs:
            for append in appends(run):
                if append.result is None:
                    self._unacknowledged(run, append)
                elif append.result.status == "appended":
                    for written in self._made_again(run, append):
                        self._one(written)

    def _made_again(self, run: Run, append: Append) -> Iterator[Written]:
        """The rows that an append wrote, byte for byte."""
        place = f"run {run.run_id}, history event {append.event_id}"
        head = bytes.fromhex(append.request.expected_head)
        for record in append.request.records:
            header = header_bytes(record.header)
            ciphertext = seal(self._key, record.header, record.content)
            head = link(head, header, ciphertext)
            yield Written(record.header.sequence, header, ciphertext, head, place)
        if append.result is not None and append.result.chain_head != head.hex():
            message = f"{place}: the log acknowledged another chain head than its records give"
            self._out.find("CHAIN_HEAD_DIFFERS", append.request.records[-1].header.sequence, message)

    def _one(self, written: Written) -> None:
        self._vouched.add(written.sequence)
        row = self._rows.get(written.sequence)
        if row is None:
            message = f"{written.place}: Temporal has this event as acknowledged, and the log does not have it"
            self._out.find("MISSING_IN_LOG", written.sequence, message)
            return
        self._out.compared += 1
        differing = [name for name in ("header", "ciphertext", "hash") if getattr(row, name) != getattr(written, name)]
        if differing:
            message = f"{written.place}: the log's {' and '.join(differing)} differ from what this append wrote"
            self._out.find("LEDGERS_DIFFER", written.sequence, message)

    def _unacknowledged(self, run: Run, append: Append) -> None:
        """An append without an answer: in flight while its run is open; decided and never acknowledged when closed."""
        written = list(self._made_again(run, append))
        in_log = [each for each in written if (row := self._rows.get(each.sequence)) and row.hash == each.hash]
        self._vouched |= {each.sequence for each in in_log}
        if run.closing is None:
            return
        self._out.unacknowledged += 1
        stands = "stands in the log" if in_log else "is not in the log"
        self._out.notes.append(
            f"journey {self._out.journey_id}, event {written[0].sequence}: decided, never acknowledged "
            f"(run {run.run_id} was {run.closing.removeprefix('workflow_execution_')}); it {stands}"
        )

    def uncovered(self, before: set[int]) -> None:
        """Rows that no append vouches for: a finding where a kept run should have written them, else coverage."""
        spans = [(run, *_span(run)) for run in self._runs]
        for sequence in sorted((self._rows.keys() & before) - self._vouched):
            run = next((run for run, after, last in spans if after < sequence <= last), None)
            if run is None:
                self._out.not_covered += 1
                continue
            message = f"run {run.run_id} was in charge of this event, and no append in its history wrote it"
            self._out.find("NOT_IN_HISTORY", sequence, message)


def _span(run: Run) -> tuple[int, int]:
    """Which events a run was in charge of: those after its start version, up to its last acknowledged one.

    A run that has not ended, or that ended the journey, answers for everything that comes after it, too.
    """
    start = run.start
    first = start.snapshot.state.version if start.snapshot else 0
    if run.closing in {None, "workflow_execution_completed"}:
        return first, ENDLESS
    results = [append.result.last for append in appends(run) if append.result is not None]
    return first, max([first, *results])


__all__ = ["Comparison", "compare", "compare_opened"]
