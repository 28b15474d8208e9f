"""A journey's state from its stored rows, event by event, so that a failure names the event."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from pydantic import ValidationError

from audit.report import Finding
from domain import journey as rules
from domain.envelope import EventRecord
from domain.journey import HistoryCorruptError, NotOpened, State
from store.log import StoredEvent
from vault.canonical import parse_header
from vault.errors import SealBrokenError
from vault.keys import DataKey
from vault.sealing import open_sealed

HEADER_UNREADABLE = "HEADER_UNREADABLE"
SEAL_BROKEN = "SEAL_BROKEN"
FOLD_REFUSED = "FOLD_REFUSED"


def open_rows(rows: Iterable[StoredEvent], key: DataKey) -> tuple[list[EventRecord], list[Finding]]:
    """Open every row that opens; what does not is a finding, and the others go on."""
    records: list[EventRecord] = []
    findings: list[Finding] = []
    for row in rows:
        try:
            header = parse_header(row.header)
            records.append(EventRecord(header=header, content=open_sealed(key, header, row.ciphertext)))
        except SealBrokenError:
            message = "the sealed content does not open at this place: its bytes, its place or its key were changed"
            findings.append(Finding(SEAL_BROKEN, row.journey_id, row.sequence, message))
        except ValidationError:
            findings.append(unreadable(row))
    return records, findings


def unreadable(row: StoredEvent) -> Finding:
    """Say of a row that its header cannot be read."""
    message = "the stored header is no header of this build: it was changed, or written by a newer build"
    return Finding(HEADER_UNREADABLE, row.journey_id, row.sequence, message)


def fold(journey_id: UUID, records: Iterable[EventRecord]) -> tuple[State, Finding | None]:
    """The state after these events, up to the first that cannot follow."""
    state: State = NotOpened(journey_id=journey_id, patient_id=journey_id)
    for record in records:
        if isinstance(state, NotOpened) and state.opened is None:
            state = _identified(state, record)
        try:
            state = rules.evolve(state, record)
        except (HistoryCorruptError, ValidationError, LookupError) as error:
            # HistoryCorruptError names types and fields alone; the others could quote content.
            reason = str(error) if isinstance(error, HistoryCorruptError) else type(error).__name__
            message = f"the event cannot follow the state before it: {reason}"
            return state, Finding(FOLD_REFUSED, journey_id, record.header.sequence, message)
    return state, None


def _identified(state: NotOpened, record: EventRecord) -> NotOpened:
    """The start input, as the first event recorded it."""
    try:
        event = rules.parse_event(record.header.type, record.content.data)
    except HistoryCorruptError:
        return state
    known = {name: getattr(event, name) for name in ("patient_id", "clock_shift_seconds") if hasattr(event, name)}
    return state.model_copy(update=known)
