"""``audit replay``: whether this build would decide again what was decided, run by run (architecture D13)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from temporalio.client import Client

from audit.histories import histories, journeys
from audit.report import KEY_UNKNOWN, Finding, Report
from audit.strict import StrictReplayer
from vault.errors import KeyShreddedError, KeyUnknownError, VaultError
from vault.keys import KeySource
from workflows.journey import JourneyWorkflow

Progress = Callable[[UUID], None]


async def replay(
    client: Client, keys: KeySource, journey_ids: list[UUID] | None = None, *, progress: Progress = lambda _: None
) -> Report:
    """Replay every kept run of these journeys, or of all. Raises TemporalUnavailableError.

    A run of another build may differ where this build was meant to change: replay it with the build that wrote it.
    """
    report = Report("audit replay")
    replayer = StrictReplayer([JourneyWorkflow], keys, client.namespace)
    for journey_id in journey_ids or await journeys(client):
        await _journey(replayer, client, journey_id, report)
        progress(journey_id)
    return report.finish("runs")


async def _journey(replayer: StrictReplayer, client: Client, journey_id: UUID, report: Report) -> None:
    runs = await histories(client, journey_id)
    report.counts["journeys"] += bool(runs)
    if not runs:
        report.notes.append(f"journey {journey_id}: Temporal keeps no history of it")
    for history in runs:
        try:
            replayed = await replayer.replay(history, journey_id)
        except KeyShreddedError:
            report.counts["runs_erased"] += 1
            continue
        except KeyUnknownError:
            message = "the key store has no key of this journey: restore the key database"
            report.findings.append(Finding(KEY_UNKNOWN, journey_id, None, message))
            continue
        except VaultError as error:
            message = f"run {history.run_id}: a payload does not open: {error}"
            report.findings.append(Finding("HISTORY_BROKEN", journey_id, None, message))
            continue
        report.counts["runs"] += 1
        report.counts["history_events"] += replayed.events
        report.counts["commands_compared"] += replayed.compared
        report.findings += replayed.findings
