"""What the scores say about the course: response, remission, reliable change, not on track (domain.md §4.4, §5.5).

Nothing here is asked for: it follows from scores, so it is recorded the moment it is true, and only once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, assert_never

from pydantic import Field

from domain.envelope import Sensitivity
from domain.instruments import change
from domain.journey.assessment import Point
from domain.journey.messages import Event, Stamp
from domain.protocols import Protocol
from domain.values import Instant, ShortText, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


class Baseline(Value):
    """The last complete total before dose 1 (domain.md §4.4)."""

    total: float
    at: Instant


class Outcomes(Value):
    """``judged`` is the last score that was looked at, by instrument: each is judged once."""

    baseline: dict[str, Baseline] = Field(default_factory=dict)
    judged: dict[str, int] = Field(default_factory=dict)
    responded: tuple[ShortText, ...] = ()
    remitted: tuple[ShortText, ...] = ()
    improved: tuple[ShortText, ...] = ()
    not_on_track: bool = False


class BaselineRecorded(Event, type="baseline_recorded.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    instrument: ShortText
    total: float
    at: Instant


class ChangeAssessed(Event, type="change_assessed.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    """One score against the baseline. ``percent`` is negative for a fall."""

    instrument: ShortText
    score_sequence: int
    points: float
    percent: float | None
    reliable: ShortText | None
    response: bool | None
    remission: bool | None


class ReliableImprovementAchieved(Event, type="reliable_improvement_achieved.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    instrument: ShortText


class ResponseAchieved(Event, type="response_achieved.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    instrument: ShortText


class RemissionAchieved(Event, type="remission_achieved.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    instrument: ShortText


class NotOnTrack(Event, type="not_on_track.v1", sensitivity=Sensitivity.PSYCHIATRIC):
    """MBC-1: the fall is below the percentage and below the points. A plan review becomes mandatory."""

    instrument: ShortText


Events: TypeAlias = (
    BaselineRecorded | ChangeAssessed | ReliableImprovementAchieved | ResponseAchieved | RemissionAchieved | NotOnTrack
)


def react(journey: Journey, policy: Protocol) -> tuple[Event, ...]:
    """What has become true with the latest scores, and was not recorded yet."""
    if journey.dosing.count == 0:
        return ()
    events: list[Event] = []
    for name in policy.outcomes.instruments:
        series = journey.assessments.series.get(name, ())
        baseline = journey.outcomes.baseline.get(name)
        if not series:
            continue
        if baseline is None:
            first = series[-1]
            events.append(BaselineRecorded(instrument=name, total=first.total, at=first.at))
        elif series[-1].sequence > journey.outcomes.judged.get(name, 0) and series[-1].at > baseline.at:
            events.extend(_judge(journey, name, baseline, series[-1], policy))
    return tuple(events)


def _judge(journey: Journey, name: str, baseline: Baseline, point: Point, policy: Protocol) -> list[Event]:
    here, seen = journey.outcomes, change(name, baseline.total, point.total)
    events: list[Event] = [
        ChangeAssessed(
            instrument=name,
            score_sequence=point.sequence,
            points=seen.points,
            percent=seen.percent,
            reliable=seen.reliable,
            response=seen.response,
            remission=seen.remission,
        )
    ]
    if seen.reliable == "improvement" and name not in here.improved:
        events.append(ReliableImprovementAchieved(instrument=name))
    if seen.response and name not in here.responded:
        events.append(ResponseAchieved(instrument=name))
    if seen.remission and name not in here.remitted:
        events.append(RemissionAchieved(instrument=name))
    if name == policy.outcomes.instruments[0] and _not_on_track(journey, baseline, point, policy):
        events.append(NotOnTrack(instrument=name))
    return events


def _not_on_track(journey: Journey, baseline: Baseline, point: Point, policy: Protocol) -> bool:
    """MBC-1, at the first follow-up: both limits are missed after enough doses and enough weeks."""
    rules, fall = policy.outcomes, baseline.total - point.total
    early = journey.dosing.count < rules.not_on_track_doses_min or point.at - baseline.at < timedelta(
        weeks=rules.not_on_track_weeks_min
    )
    if early or journey.outcomes.not_on_track or journey.follow_ups.last_at is not None or baseline.total == 0:
        return False
    return 100 * fall / baseline.total < rules.not_on_track_percent and fall < rules.not_on_track_points


def evolve(journey: Journey, event: Events, _stamp: Stamp) -> Journey:
    here = journey.outcomes
    match event:
        case BaselineRecorded(instrument=name, total=total, at=at):
            update: dict[str, object] = {"baseline": {**here.baseline, name: Baseline(total=total, at=at)}}
        case ChangeAssessed(instrument=name, score_sequence=sequence):
            update = {"judged": {**here.judged, name: sequence}}
        case ReliableImprovementAchieved(instrument=name):
            update = {"improved": (*here.improved, name)}
        case ResponseAchieved(instrument=name):
            update = {"responded": (*here.responded, name)}
        case RemissionAchieved(instrument=name):
            update = {"remitted": (*here.remitted, name)}
        case NotOnTrack():
            update = {"not_on_track": True}
        case _:
            assert_never(event)
    return journey.model_copy(update={"outcomes": here.model_copy(update=update)})
