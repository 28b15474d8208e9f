"""The gates before a dose: rules that cut across phases, evaluated from the state alone (INV-1…13, INV-24).

In this order: a hold first, since a person has said stop; then what the course needs before this day is worth
starting; then what must be true today. The first that fails is the refusal's code; all results are recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.calendars import local_date, same_local_day
from domain.codes import Code
from domain.journey import consent, follow_up, therapy
from domain.journey.dosing import GateResult
from domain.journey.holds import CODES, HoldKind
from domain.journey.messages import Context
from domain.journey.vital_bands import pre_dose

if TYPE_CHECKING:
    from domain.journey.state import Journey

Gate = Callable[["Journey", Context], str | None]
"""Says what is wrong and what to do about it, or None."""


def evaluate(journey: Journey, ctx: Context) -> tuple[GateResult, ...]:
    """Every gate with its result, in order."""
    checks = [(CODES[kind], _hold(kind)) for kind in HoldKind] + list(GATES)
    problems = [(code, gate(journey, ctx)) for code, gate in checks]
    return tuple(GateResult(code=code, passed=p is None, evidence=p or "passed") for code, p in problems)


def _today(journey: Journey, ctx: Context, moment: datetime | None) -> bool:
    """Whether this was on the patient's own calendar day (architecture D16), and not after what it allows."""
    return moment is not None and moment <= ctx.at and same_local_day(moment, ctx.at, journey.patient.time_zone)


def _hold(kind: HoldKind) -> Gate:
    def gate(journey: Journey, _ctx: Context) -> str | None:
        return f"the {kind} hold is open; its owner must lift it" if journey.holds.has(kind) else None

    return gate


def _eligibility(journey: Journey, ctx: Context) -> str | None:
    return None if journey.eligibility.active(ctx.at, ctx.now) else "no eligibility decision is in force"


def _preparation(journey: Journey, ctx: Context) -> str | None:
    least = ctx.policy.preparation.sessions_min
    held = therapy.preparations_with_current_therapist(journey)
    return None if held >= least else f"{least} preparation with the current therapist; held: {held}"


def _integration(journey: Journey, _ctx: Context) -> str | None:
    done = journey.therapy.integrated
    waiting = [r for r in journey.dosing.records if r.lines and r.session_id not in done]
    return "complete the integration of the previous dose first" if waiting else None


def _follow_up(journey: Journey, ctx: Context) -> str | None:
    if follow_up.owed_before_dose(journey, ctx.policy):
        return f"a medical follow-up is due after dose {ctx.policy.dosing.follow_up_after_doses}"
    if journey.follow_ups.last_decision in {"pause", "stop"}:
        return f"the last follow-up decided: {journey.follow_ups.last_decision}"
    return None


def _outcomes(journey: Journey, ctx: Context) -> str | None:
    rules = ctx.policy.outcomes
    if journey.dosing.count + 1 not in rules.questionnaire_before_doses:
        return None
    oldest = ctx.at - timedelta(days=rules.questionnaire_before_dose_days)
    series = journey.assessments.series
    stale = [name for name in rules.instruments if not series.get(name) or series[name][-1].at < oldest]
    return f"a form of the last {rules.questionnaire_before_dose_days} days: {', '.join(stale)}" if stale else None


def _doses(journey: Journey, ctx: Context) -> str | None:
    today = local_date(ctx.at, journey.patient.time_zone)
    return None if journey.prescriptions.usable(today) else "no authorised session with drug in hand is left"


def _interval(journey: Journey, ctx: Context) -> str | None:
    last, zone = journey.dosing.last_dose_at, journey.patient.time_zone
    if last is None:
        return None
    days = (local_date(ctx.at, zone) - local_date(last, zone)).days
    least = ctx.policy.dosing.interval_days_min
    return None if days >= least else f"{least} days between doses; it has been {days}"


def _consent(journey: Journey, ctx: Context) -> str | None:
    if missing := consent.missing(journey, ctx.policy):
        return f"sign: {', '.join(missing)}"
    signed = journey.consents.signed
    stale = [s for s in ctx.policy.consents if not _today(journey, ctx, signed[s].reaffirmed_at)]
    return f"re-affirm today: {', '.join(stale)}" if stale else None


def _consent_version(journey: Journey, ctx: Context) -> str | None:
    old = consent.outdated(journey, ctx.policy)
    return f"sign the current version of: {', '.join(old)}" if old else None


def _licence(journey: Journey, ctx: Context) -> str | None:
    here, team = journey.onboarding.location, journey.care_team
    if here is None or not _today(journey, ctx, here.attested_at):
        return "attest today where the patient is"
    if here.state not in team.therapist.licence_states:
        return "the therapist is not licensed where the patient is today"
    if team.prescriber is None or here.state not in team.prescriber.licence_states:
        return "the prescriber is not licensed where the patient is today"
    return None


def _pregnancy(journey: Journey, ctx: Context) -> str | None:
    seen = journey.observations
    if seen.pregnancy_test == "positive":
        return "the last pregnancy test is positive"  # whatever the history says: a test outweighs a form
    if journey.onboarding.could_become_pregnant is False or _today(journey, ctx, seen.pregnancy_test_at):
        return None
    return "a pregnancy test is due today"


def _chaperone(journey: Journey, ctx: Context) -> str | None:
    here = journey.onboarding.chaperone
    if here is not None and _today(journey, ctx, here.present_at):
        return None
    return "confirm today that the chaperone is present, or the escort named"


def _suicidality(journey: Journey, ctx: Context) -> str | None:
    here = journey.assessments
    if here.item9 is None or not _today(journey, ctx, here.item9_at):
        return "item 9 must be answered today"
    if here.tier is None or not _today(journey, ctx, here.tier_at):
        return "the C-SSRS since last contact must be answered today"
    return None if here.tier <= ctx.policy.safety.tier_dosing_max else "the C-SSRS tier is above what allows a dose"


def _blood_pressure(journey: Journey, ctx: Context) -> str | None:
    rules, seen = ctx.policy.dosing, journey.observations
    reading, newest = seen.latest(ctx.at), seen.latest(ctx.now)
    if reading is None or ctx.at - reading.taken_at > timedelta(minutes=rules.vitals_max_age_minutes):
        return f"take vital signs within {rules.vitals_max_age_minutes} minutes before"
    if worst := _stopped_today(journey, ctx):
        return f"{worst}: no dose today; the prescriber must be told"
    decision = journey.dosing.predose
    if decision is not None and not _today(journey, ctx, decision.at):
        decision = None
    if decision is not None and decision.decision == "postpone":
        return "the prescriber has postponed today's dose"
    # A date in the past hides no reading of since: the newest one is judged too.
    high = [r for r in (reading, newest) if r is not None and pre_dose(r, rules) != "P1"]
    if all(decision is not None and decision.at >= r.taken_at for r in high):
        return None
    return "P2: rest and repeat, or the prescriber decides live"


def _stopped_today(journey: Journey, ctx: Context) -> str | None:
    """P3 or P4 on any reading of the day ends that day (domain.md §5.2): nobody measures again until it fits."""
    zone = journey.patient.time_zone
    today = (r for r in journey.observations.readings if same_local_day(r.taken_at, ctx.at, zone))
    return max((band for r in today if (band := pre_dose(r, ctx.policy.dosing)) in {"P3", "P4"}), default=None)


GATES: tuple[tuple[Code, Gate], ...] = (
    (Code.NO_ACTIVE_ELIGIBILITY, _eligibility),
    (Code.PREP_WITH_CURRENT_THERAPIST, _preparation),
    (Code.INTEGRATION_DUE, _integration),
    (Code.FOLLOWUP_DUE, _follow_up),
    (Code.OUTCOMES_DUE, _outcomes),
    (Code.NO_DOSES, _doses),
    (Code.MIN_INTERVAL, _interval),
    (Code.CONSENT, _consent),
    (Code.CONSENT_OUTDATED, _consent_version),
    (Code.LICENCE, _licence),
    (Code.PREGNANCY, _pregnancy),
    (Code.CHAPERONE, _chaperone),
    (Code.SI_GATE, _suicidality),
    (Code.BP_GATE, _blood_pressure),
)
