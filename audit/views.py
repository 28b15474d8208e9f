"""``audit timeline`` and ``audit as-of``: what happened, and what was known when.

Headers alone need no key. What an event says, and the state, are clinical: they are opened only when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from audit.fold import fold, open_rows, unreadable
from audit.ledgers import Log
from audit.report import KEY_ERASED, KEY_UNKNOWN, Finding, Report
from domain import journey as rules
from domain.envelope import EventRecord, Header
from domain.journey import Journey
from store.log import StoredEvent
from vault.canonical import parse_header
from vault.errors import KeyShreddedError, KeyUnknownError
from vault.keys import KeySource


async def timeline(log: Log, keys: KeySource | None, journey_id: UUID) -> Report:
    """Every event of a journey in order; with ``keys``, also what each says. The rows stand in ``view``."""
    report = Report("audit timeline", view=[])
    rows = await log.events.read_raw(journey_id)
    records = await _records(rows, keys, journey_id, report) if keys is not None else []
    contents = {record.header.sequence: record.content.data for record in records}
    for row in rows:
        try:
            entry = _line(parse_header(row.header))
        except ValidationError:
            if keys is None:  # with keys it has been found already
                report.findings.append(unreadable(row))
            continue
        if row.sequence in contents:
            entry["data"] = contents[row.sequence]
        report.view.append(entry)
    report.counts["events"] = len(rows)
    return report.finish("events")


@dataclass(frozen=True)
class Moment:
    """After event ``sequence``; or at ``time``, by when events were recorded, or ``occurred``. Neither means now.

    A fold takes events in the order of the record, so by occurrence it stops before the first event that had not
    happened yet.
    """

    sequence: int | None = None
    time: datetime | None = None
    occurred: bool = False

    def before(self, row: StoredEvent) -> bool:
        """Whether the moment lies before this row."""
        at = row.occurred_at if self.occurred else row.recorded_at
        return (self.sequence is not None and row.sequence > self.sequence) or (
            self.time is not None and at > self.time
        )


async def as_of(log: Log, keys: KeySource, journey_id: UUID, moment: Moment) -> Report:
    """The journey as it was known at a moment: the events until then, folded. The state stands in ``view``."""
    report = Report("audit as-of")
    rows = await log.events.read_raw(journey_id)
    chosen = list(takewhile(lambda row: not moment.before(row), rows))
    records = await _records(chosen, keys, journey_id, report)
    report.counts["events"] = len(records)
    if report.findings:
        return report.finish("events")
    state, refused = fold(journey_id, records)
    if refused is not None:
        report.findings.append(refused)
    elif isinstance(state, Journey):
        report.view = _shown(state, len(rows) - len(chosen))
    return report.finish("events")


async def _records(rows: Sequence[StoredEvent], keys: KeySource, journey_id: UUID, report: Report) -> list[EventRecord]:
    try:
        key = await keys.key_for_journey(journey_id)
    except KeyShreddedError:
        message = "the patient's key was destroyed: what the events said is erased, for good"
        report.findings.append(Finding(KEY_ERASED, journey_id, None, message))
        return []
    except KeyUnknownError:
        message = "the key store has no key of this journey: restore the key database"
        report.findings.append(Finding(KEY_UNKNOWN, journey_id, None, message))
        return []
    records, findings = open_rows(rows, key)
    report.findings += findings
    return records


def _line(header: Header) -> dict[str, Any]:
    return {
        "sequence": header.sequence,
        "type": header.type,
        "recorded_at": header.recorded_at.isoformat(),
        "occurred_at": header.occurred_at.isoformat(),
        "actor_role": header.actor.role.value,
        "actor_subject": header.actor.subject,
        "purpose": header.purpose.value,
        "command_id": str(header.command_id),
        "policy_version": header.policy.version,
    }


def _shown(journey: Journey, later: int) -> dict[str, Any]:
    """What an auditor asks of a past moment: where care stood, what was forbidden, who owed what, who had consented."""
    summary, worklist = rules.project(journey)
    return {
        "journey_id": str(journey.journey_id),
        "version": journey.version,
        "events_after": later,
        "stage": str(journey.stage),
        "policy_version": journey.policy_version,
        "summary": summary.model_dump(mode="json", exclude={"journey_id", "version", "stage", "policy_version"}),
        "holds": [hold.model_dump(mode="json") for hold in journey.holds.open],
        "consents": journey.consents.model_dump(mode="json"),
        "eligibility": journey.eligibility.model_dump(mode="json"),
        "prescriptions": journey.prescriptions.model_dump(mode="json"),
        "doses": journey.dosing.model_dump(mode="json"),
        "safety": journey.safety.model_dump(mode="json"),
        "owed_by_people": [item.model_dump(mode="json") for item in worklist],
        "owed_to_systems": [{"key": owed.key, "kind": owed.request.kind} for owed in journey.outbox.owed],
    }
