"""``audit verify``: the log against itself. Needs no Temporal, and with ``--no-content`` no key either.

Chains are recomputed from stored bytes, columns compared with the bytes they were taken from (the database's own
checks are not trusted: whoever changes a row can drop a check), seals opened, the fold and its read models redone.
What a log that was rewritten consistently hides from itself, ``audit compare`` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from audit.fold import fold, open_rows, unreadable
from audit.ledgers import Log, Stored
from audit.report import KEY_UNKNOWN, Finding, Report
from domain import journey as rules
from domain.envelope import GENESIS, Header
from domain.journey import Journey
from store.log import StoredEvent
from vault.canonical import header_bytes, parse_header
from vault.chain import link
from vault.errors import KeyShreddedError, KeyUnknownError, VaultError
from vault.keys import KeySource

Progress = Callable[[UUID], None]

COLUMNS: dict[str, Callable[[Header], Any]] = {
    "journey_id": lambda h: h.journey_id,
    "sequence": lambda h: h.sequence,
    "event_id": lambda h: h.event_id,
    "type": lambda h: h.type,
    "occurred_at": lambda h: h.occurred_at,
    "recorded_at": lambda h: h.recorded_at,
    "actor_subject": lambda h: h.actor.subject,
    "actor_role": lambda h: h.actor.role.value,
    "purpose": lambda h: h.purpose.value,
    "command_id": lambda h: h.command_id,
    "causation_id": lambda h: h.causation_id,
    "policy_version": lambda h: h.policy.version,
    "sensitivity": lambda h: h.sensitivity.value,
    "key_version": lambda h: h.key_version,
}
"""Each column that repeats the header, and where in the header it stands."""


async def verify(
    log: Log, keys: KeySource | None, journey_ids: list[UUID] | None = None, *, progress: Progress = lambda _: None
) -> Report:
    """Verify these journeys, or all. Without ``keys`` contents stay sealed, and fold and read models unchecked."""
    report = Report("audit verify")
    wanted = journey_ids or await log.events.journey_ids()
    for stored in await log.read(wanted):
        findings = await _journey(stored, keys, report)
        if findings:
            # A journey that moved between two reads looks broken once; one that is broken looks so twice.
            (again,) = await log.read([stored.journey_id])
            findings = await _journey(again, keys, Report(report.command))
        report.findings += findings
        report.counts["journeys"] += bool(stored.rows)
        progress(stored.journey_id)
    return report.finish("journeys")


async def _journey(stored: Stored, keys: KeySource | None, report: Report) -> list[Finding]:
    if not stored.rows and stored.summary is None:
        message = "the log knows no such journey: check its id and the environment"
        return [Finding("JOURNEY_UNKNOWN", stored.journey_id, None, message)]
    report.counts["events"] += len(stored.rows)
    findings = [*chain_findings(stored), *column_findings(stored)]
    if keys is None:
        report.counts["contents_not_opened"] += len(stored.rows)
        return findings
    try:
        key = await keys.key_for_journey(stored.journey_id)
    except KeyShreddedError:
        # Erased on purpose: everything that can still be proved has been (D9).
        report.counts["journeys_erased"] += 1
        return findings
    except KeyUnknownError:
        message = "the key store has no key of this journey: contents were not checked; restore the key database"
        return [*findings, Finding(KEY_UNKNOWN, stored.journey_id, None, message)]
    records, broken = open_rows(stored.rows, key)
    # One finding for one place: what is named already makes everything after it look wrong as well.
    if broken or findings:
        return [*findings, *broken]
    state, refused = fold(stored.journey_id, records)
    report.counts["contents_opened"] += len(records)
    return [refused] if refused else list(projection_findings(stored, state))


def chain_findings(stored: Stored) -> Iterator[Finding]:
    """Where the sequence has holes, where a record does not follow from the one before, where the end is cut off."""
    expected, previous = 1, bytes.fromhex(GENESIS)
    for row in stored.rows:
        if row.sequence != expected:
            yield _missing(stored.journey_id, expected, row.sequence - 1)
        elif link(previous, row.header, row.ciphertext) != row.hash:
            message = "the hash does not follow from the record before it: header, content, hash or place was changed"
            yield Finding("CHAIN_BROKEN", stored.journey_id, row.sequence, message)
        # Go on from what is stored, so that every further place is named too.
        expected, previous = row.sequence + 1, row.hash
    version = stored.summary.version if stored.summary else 0
    if version >= expected:
        yield _missing(stored.journey_id, expected, version)


def _missing(journey_id: UUID, first: int, last: int) -> Finding:
    which = f"event {first}" if first == last else f"events {first} to {last}"
    return Finding("EVENTS_MISSING", journey_id, first, f"{which} should stand here and is not in the log")


def column_findings(stored: Stored) -> Iterator[Finding]:
    """Where a column is not what the header says, or the header is not canonical or of no known type."""
    for row in stored.rows:
        try:
            header = parse_header(row.header)
            canonical = header_bytes(header) == row.header
        except (ValidationError, VaultError):
            yield unreadable(row)
            continue
        if wrong := _wrong_columns(row, header):
            message = f"these columns are not what the header says: {', '.join(wrong)}"
            yield Finding("COLUMNS_DIFFER", stored.journey_id, row.sequence, message)
        if not canonical:
            message = "the header is not in its canonical spelling (RFC 8785)"
            yield Finding("HEADER_NOT_CANONICAL", stored.journey_id, row.sequence, message)
        if header.type not in rules.EVENTS and header.type not in rules.UPCASTS:
            message = f"this build does not know the type {header.type}: verify with the build that wrote it"
            yield Finding("TYPE_UNKNOWN", stored.journey_id, row.sequence, message)


def _wrong_columns(row: StoredEvent, header: Header) -> list[str]:
    return [name for name, told in COLUMNS.items() if getattr(row, name) != told(header)]


def projection_findings(stored: Stored, state: object) -> Iterator[Finding]:
    """Where the read models are not what the fold gives."""
    last = stored.rows[-1].sequence
    if not isinstance(state, Journey):
        return
    summary, worklist = rules.project(state)
    if summary != stored.summary:
        fields = [n for n in type(summary).model_fields if getattr(summary, n) != getattr(stored.summary, n, None)]
        message = f"the summary is not what the events give, in: {', '.join(fields)}; rebuild the projections"
        yield Finding("SUMMARY_DIFFERS", stored.journey_id, last, message)
    if {item.key: item for item in worklist} != {item.key: item for item in stored.worklist}:
        message = "the worklist is not what the events give; rebuild the projections"
        yield Finding("WORKLIST_DIFFERS", stored.journey_id, last, message)


__all__ = ["COLUMNS", "chain_findings", "column_findings", "projection_findings", "verify"]
