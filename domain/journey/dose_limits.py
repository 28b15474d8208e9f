"""How much, at most: the authorised dose (INV-20), the protocol's absolute limits (INV-25), and boosters."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.calendars import same_local_day
from domain.codes import Code
from domain.journey import consent
from domain.journey.holds import CODES
from domain.journey.messages import Context
from domain.journey.vital_bands import during_dose

if TYPE_CHECKING:
    from domain.journey.dosing import DosingRecord
    from domain.journey.state import Journey

Problem = tuple[Code, str]


def dose_problem(journey: Journey, record: DosingRecord, mg: float, ctx: Context, *, booster: bool) -> Problem | None:
    """Why this dose line cannot be taken, or None."""
    return (
        _booster_problem(journey, record, mg, ctx) if booster else _first_line_problem(journey, record, mg, ctx)
    ) or _session_problem(journey, record, mg, ctx)


def _first_line_problem(journey: Journey, record: DosingRecord, mg: float, ctx: Context) -> Problem | None:
    rules, rx = ctx.policy.dosing, journey.prescriptions.find(record.rx_id)
    if rx is None:
        return Code.NO_DOSES, "no prescription to dose from"
    if record.lines:
        return Code.DOSE_CEILING, "this session has its dose; a further line is a booster"
    limit = rules.first_dose_mg_max if journey.dosing.count == 0 else rules.dose_mg_max
    if mg > limit:
        return Code.DOSE_LIMIT, f"at most {limit:g} mg in one dose"
    authorised = rx.draft.dose_mg
    here = journey.dosing.predose
    if here is not None and same_local_day(here.at, ctx.at, journey.patient.time_zone):
        authorised *= here.dose_fraction_max
    if mg > authorised:
        return Code.DOSE_CEILING, f"at most {authorised:g} mg is authorised"
    return None


def _booster_problem(journey: Journey, record: DosingRecord, mg: float, ctx: Context) -> Problem | None:
    rules, rx = ctx.policy.dosing, journey.prescriptions.find(record.rx_id)
    if not record.lines:
        return Code.DOSE_CEILING, "a booster follows a dose"
    if journey.holds.open:
        # The hold's own code: a hold that is still on its way to the log forbids by that code alone.
        kind = journey.holds.open[0].kind
        return CODES[kind], f"the {kind} hold is open; nothing more is given"
    if consent.missing(journey, ctx.policy):
        return Code.CONSENT, "a consent was revoked; nothing more is given"
    if journey.eligibility.active(ctx.at, ctx.now) is None:
        return Code.NO_ACTIVE_ELIGIBILITY, "no eligibility decision is in force; nothing more is given"
    if rx is None or record.booster_revoked or rx.draft.booster_mg <= 0:
        return Code.DOSE_CEILING, "no booster is authorised in this session"
    if any(line.is_booster for line in record.lines) or mg > rx.draft.booster_mg:
        return Code.DOSE_CEILING, f"one booster of at most {rx.draft.booster_mg:g} mg is authorised"
    if mg > record.lines[0].mg * rules.booster_fraction_max:
        return Code.DOSE_LIMIT, f"a booster is at most {rules.booster_fraction_max:.0%} of the dose"
    reading = journey.observations.latest(ctx.at)
    fresh = timedelta(minutes=rules.vitals_max_age_minutes)
    if reading is None or reading.taken_at < record.lines[-1].at or ctx.at - reading.taken_at > fresh:
        return Code.DOSE_CEILING, "take vital signs first; a booster needs a fresh D1 reading"
    newest = journey.observations.latest(ctx.now)  # a date in the past hides no reading of since
    if any(during_dose(r, rules) != "D1" for r in (reading, newest) if r is not None):
        return Code.DOSE_CEILING, "a booster needs a D1 reading"
    # A D2 may come down and be followed by a booster; a D3 ends the matter for this session (domain.md §5.2).
    since = (r for r in journey.observations.readings if r.taken_at >= record.started_at)
    if any(during_dose(r, rules) in {"D3", "D4"} for r in since):
        return Code.DOSE_CEILING, "no booster after a D3 reading in the same session"
    return None


def _session_problem(journey: Journey, record: DosingRecord, mg: float, ctx: Context) -> Problem | None:
    rules, total = ctx.policy.dosing, record.total_mg + mg
    rx, decision = journey.prescriptions.find(record.rx_id), journey.eligibility.active(ctx.at)
    weight = journey.observations.weight_kg
    if weight is None:
        return Code.DOSE_LIMIT, "record the patient's weight first; the limit depends on it"
    limit = min(rules.session_mg_max, rules.session_mg_per_kg_max * weight)
    if total > limit:
        return Code.DOSE_LIMIT, f"at most {limit:g} mg in one session"
    ceilings = [rx.draft.max_mg_per_session] if rx else []
    if decision is not None and decision.dose_ceiling_mg is not None:
        ceilings.append(decision.dose_ceiling_mg)
    if ceilings and total > min(ceilings):
        return Code.DOSE_CEILING, f"at most {min(ceilings):g} mg is authorised in one session"
    return None
