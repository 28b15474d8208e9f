"""S4: the prescription, from the PDMP query to the signature (domain.md §3, INV-14).

Refusing is the rule here: wrong signer, stale PDMP, no legal basis today, a refill, a batch too large.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never
from uuid import UUID

from pydantic import Field

from domain.calendars import local_date
from domain.codes import Code
from domain.effects import effect_key
from domain.envelope import Role
from domain.journey import follow_up
from domain.journey.holds import CODES, HoldKind
from domain.journey.messages import Command, Context, Decision, Event, Obligation, Stamp, Task, accept, refuse
from domain.journey.stages import Stage
from domain.protocols import Protocol
from domain.values import Instant, LongText, ShortText, StateCode, Value

if TYPE_CHECKING:
    from domain.journey.state import Journey


NEW_RX = "newrx"


class RxStatus(StrEnum):
    DRAFTED = "drafted"
    SIGNED = "signed"
    TRANSMITTED = "transmitted"
    ACCEPTED = "accepted"
    ERROR = "error"
    FILLED = "filled"
    NOT_FILLED = "not_filled"
    DELIVERED = "delivered"


class Draft(Value):
    """What the prescriber wants dispensed. ``strength_mg`` per unit, ``quantity`` in units."""

    strength_mg: float = Field(ge=0.1, le=1000)
    quantity: int = Field(ge=1, le=200)
    sig: LongText
    dose_mg: float = Field(gt=0)
    booster_mg: float = Field(default=0, ge=0)
    sessions_authorised: int = Field(ge=1)
    max_mg_per_session: float = Field(gt=0)
    days_supply: int = Field(ge=1, le=180)
    refills: int = Field(default=0, ge=0)


class Prescription(Value):
    """One prescription. Its id is the id of the command that drafted it; ``key`` finds it when the pharmacy answers."""

    rx_id: UUID
    status: RxStatus = RxStatus.DRAFTED
    draft: Draft
    drafted_by: ShortText
    key: ShortText | None = None
    signed_at: Instant | None = None
    expires_on: date | None = None
    delivered_at: Instant | None = None
    beyond_use_on: date | None = None
    sessions_used: int = 0

    @property
    def sessions_left(self) -> int:
        return self.draft.sessions_authorised - self.sessions_used


class PdmpAnswer(Value):
    query_id: ShortText
    at: Instant
    outcome: Literal["clear", "review"]


class Prescriptions(Value):
    all: tuple[Prescription, ...] = ()
    pdmp_requested_at: Instant | None = None
    pdmp: PdmpAnswer | None = None

    def find(self, rx_id: UUID) -> Prescription | None:
        return next((rx for rx in self.all if rx.rx_id == rx_id), None)

    @property
    def issued(self) -> tuple[Prescription, ...]:
        """Signed, and not known to have come to nothing at the pharmacy."""
        return tuple(rx for rx in self.all if rx.status not in _NEVER_DISPENSED)

    def keyed(self, key: str) -> Prescription | None:
        return next((rx for rx in self.all if rx.key == key), None)

    def replace(self, rx_id: UUID, **change: object) -> Prescriptions:
        changed = tuple(rx.model_copy(update=change) if rx.rx_id == rx_id else rx for rx in self.all)
        return self.model_copy(update={"all": changed})

    def pdmp_fresh(self, at: datetime, policy: Protocol) -> PdmpAnswer | None:
        """The PDMP answer, if it is young enough to sign on (RX-7)."""
        here = self.pdmp
        fresh = here is not None and timedelta() <= at - here.at <= timedelta(
            hours=policy.prescription.pdmp_max_age_hours
        )
        return here if fresh else None

    def usable(self, on: date) -> Prescription | None:
        """The delivered prescription to dose from: sessions left, neither expired nor past beyond-use (INV-3)."""
        found = (
            rx
            for rx in self.all
            if rx.status is RxStatus.DELIVERED
            and rx.sessions_left > 0
            and rx.beyond_use_on is not None
            and on <= rx.beyond_use_on
            and (rx.expires_on is None or on <= rx.expires_on)
        )
        return min(found, key=lambda rx: (rx.beyond_use_on or date.max, rx.rx_id), default=None)


_NEVER_DISPENSED = frozenset({RxStatus.DRAFTED, RxStatus.ERROR, RxStatus.NOT_FILLED})


class Signature(Value):
    """What is kept of an electronic signature (21 CFR 1311.140): never the factors, only their kinds."""

    method: Literal["certified_application", "embedded_simulated"]
    factor_types: tuple[Literal["know", "have", "are"], ...]
    certificate_thumbprint: str = Field(pattern=r"^[0-9a-f]{64}$")


class QueryPdmp(Command, name="query_pdmp", by={Role.PRESCRIBER}):
    """Ask the prescription-drug monitoring programme. The answer arrives by itself."""


class DraftPrescription(Command, name="draft_prescription", by={Role.PRESCRIBER}):
    """Draft a prescription. Nothing leaves until it is signed."""

    draft: Draft


class SignPrescription(Command, name="sign_prescription", by={Role.PRESCRIBER}):
    """Sign a draft with two factors; it is then transmitted to the pharmacy."""

    rx_id: UUID
    telemedicine_basis: ShortText = Field(description="id of a legal basis in the protocol, or 'in_person'")
    in_person_evaluation_on: date | None = None
    signature: Signature


class PdmpRequested(Event, type="pdmp_requested.v1"):
    pass


class PdmpQueried(Event, type="pdmp_queried.v1"):
    query_id: ShortText
    states: tuple[StateCode, ...]
    outcome: Literal["clear", "review"]
    prescribers: int
    overlapping: bool


class PrescriptionDrafted(Event, type="prescription_drafted.v1"):
    rx_id: UUID
    draft: Draft
    drafted_by: ShortText


class PrescriptionSigned(Event, type="prescription_signed.v1"):
    rx_id: UUID
    signed_by: ShortText
    npi: ShortText
    dea: ShortText
    signature: Signature
    telemedicine_basis: ShortText
    in_person_evaluation_on: date | None
    issued_on: date
    expires_on: date
    eligibility_decision_id: UUID
    pdmp_query_id: ShortText


Commands: TypeAlias = QueryPdmp | DraftPrescription | SignPrescription
Events: TypeAlias = PdmpRequested | PdmpQueried | PrescriptionDrafted | PrescriptionSigned


def decide(journey: Journey, command: Commands, ctx: Context) -> Decision:
    match command:
        case QueryPdmp():
            if journey.care_team.prescriber is None:
                return refuse(Code.NOT_FOUND, "assign a prescriber first")
            return accept(PdmpRequested())
        case DraftPrescription():
            return _draft(journey, command, ctx)
        case SignPrescription():
            return _sign(journey, command, ctx)
        case _:
            assert_never(command)


def _draft(journey: Journey, command: DraftPrescription, ctx: Context) -> Decision:
    rules, draft, dosing = ctx.policy.prescription, command.draft, ctx.policy.dosing
    if ctx.policy.substance.schedule == "I":
        return refuse(Code.SCHEDULE_I, "no prescription can be issued for a Schedule I substance")
    if held := _held(journey):
        return held
    decision = journey.eligibility.active(ctx.at, ctx.now)
    if decision is None:
        return refuse(Code.NO_ACTIVE_ELIGIBILITY, "a prescription needs an active eligibility decision")
    if draft.refills > rules.refills:
        return refuse(Code.EPCS_REFILLS, f"this protocol allows {rules.refills} refills; write a new prescription")
    if problem := _batch_problem(journey, draft, ctx.policy):
        return problem
    most = min(dosing.session_mg_max, decision.dose_ceiling_mg or dosing.session_mg_max)
    if draft.dose_mg > dosing.dose_mg_max or draft.max_mg_per_session > most:
        return refuse(Code.DOSE_LIMIT, f"at most {dosing.dose_mg_max:g} mg a dose and {most:g} mg a session")
    if draft.dose_mg + draft.booster_mg > draft.max_mg_per_session:
        return refuse(Code.DOSE_CEILING, "dose and booster together exceed the session's ceiling")
    if draft.booster_mg > draft.dose_mg * dosing.booster_fraction_max:
        return refuse(Code.DOSE_LIMIT, f"a booster is at most {dosing.booster_fraction_max:.0%} of the dose")
    units = draft.sessions_authorised * ceil(draft.max_mg_per_session / draft.strength_mg)
    if draft.quantity > units:
        return refuse(Code.BATCH_TOO_LARGE, f"at most {units} units of {draft.strength_mg:g} mg for these sessions")
    return accept(PrescriptionDrafted(rx_id=ctx.command_id, draft=draft, drafted_by=ctx.actor.subject))


def _held(journey: Journey) -> Decision | None:
    """No drug goes out while somebody must first look at the patient."""
    for kind in (HoldKind.MEDICAL, HoldKind.SAFETY):
        if journey.holds.has(kind):
            return refuse(CODES[kind], f"the {kind} hold is open; its owner must lift it")
    return None


def _batch_problem(journey: Journey, draft: Draft, policy: Protocol) -> Decision | None:
    """RX-5, judged at the draft and again at the signature: of two drafts, the second waits for a follow-up too."""
    rules, issued = policy.prescription, journey.prescriptions.issued
    if follow_up.owed_before_batch(journey):
        return refuse(Code.FOLLOWUP_DUE, "a new batch follows a medical follow-up")
    limit = rules.follow_batch_sessions_max if issued else rules.first_batch_sessions_max
    left = policy.dosing.sessions_max - sum(rx.draft.sessions_authorised for rx in issued)
    if draft.sessions_authorised > min(limit, left):
        return refuse(Code.BATCH_TOO_LARGE, f"at most {max(0, min(limit, left))} sessions in this batch")
    return None


def _sign(journey: Journey, command: SignPrescription, ctx: Context) -> Decision:
    """INV-14, in the order a pharmacist would ask."""
    rx, prescriber = journey.prescriptions.find(command.rx_id), journey.care_team.prescriber
    if rx is None or prescriber is None:
        return refuse(Code.NOT_FOUND, "no such draft")
    if rx.status is not RxStatus.DRAFTED:
        return refuse(Code.ALREADY_DONE, f"this prescription is {rx.status}")
    if not (ctx.actor.subject == rx.drafted_by == prescriber.subject):
        return refuse(Code.EPCS_SIGNER, "only the registrant who drafted it signs (21 CFR 1311.135)")
    if held := _held(journey):
        return held
    if len(set(command.signature.factor_types)) < 2:
        return refuse(Code.EPCS_TWO_FACTOR, "sign with two different factors (21 CFR 1311.115)")
    if command.signature.method == "embedded_simulated" and not ctx.simulated:
        return refuse(Code.EPCS_EMBEDDED_SIGNER, "the embedded signer works in simulated mode only (21 CFR 1311.100)")
    if command.signature.method == "certified_application":
        # Nothing here verifies such a signature yet, and a signature that nobody verified is none.
        return refuse(Code.EPCS_CERTIFICATION, "no certified application is connected; only simulated mode signs here")
    pdmp = journey.prescriptions.pdmp_fresh(ctx.now, ctx.policy)
    if pdmp is None or pdmp.at > ctx.at:
        hours = ctx.policy.prescription.pdmp_max_age_hours
        return refuse(Code.EPCS_PDMP, f"query the PDMP first; an answer is good for {hours} h")
    issued_on = local_date(ctx.now, prescriber.time_zone)
    if local_date(ctx.at, prescriber.time_zone) != issued_on:
        return refuse(Code.EPCS_DATE, "a prescription is dated and signed on the day it is issued (21 CFR 1306.05)")
    if not _lawful(command, issued_on, ctx.policy):
        return refuse(Code.TELEMED_BASIS, "no legal basis is in force today; enter one, or evaluate in person")
    decision = journey.eligibility.active(ctx.at, ctx.now)
    if decision is None:
        return refuse(Code.NO_ACTIVE_ELIGIBILITY, "a prescription needs an active eligibility decision")
    if problem := _batch_problem(journey, rx.draft, ctx.policy):
        return problem
    return accept(
        PrescriptionSigned(
            rx_id=rx.rx_id,
            signed_by=ctx.actor.subject,
            npi=prescriber.npi,
            dea=prescriber.dea,
            signature=command.signature,
            telemedicine_basis=command.telemedicine_basis,
            in_person_evaluation_on=command.in_person_evaluation_on,
            issued_on=issued_on,
            expires_on=_months_after(issued_on, ctx.policy.prescription.expires_months),
            eligibility_decision_id=decision.decision_id,
            pdmp_query_id=pdmp.query_id,
        )
    )


def _months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _lawful(command: SignPrescription, today: date, policy: Protocol) -> bool:
    """RX-8, RX-10: an in-person evaluation, or a basis row that covers today. A row that ended is closed."""
    if command.telemedicine_basis == "in_person":
        return command.in_person_evaluation_on is not None and command.in_person_evaluation_on <= today
    return any(
        row.id == command.telemedicine_basis and row.effective_from <= today <= row.effective_to
        for row in policy.prescription.telemedicine_bases
    )


def evolve(journey: Journey, event: Events, stamp: Stamp) -> Journey:
    here, at = journey.prescriptions, stamp.occurred_at
    match event:
        case PdmpRequested():
            here = here.model_copy(update={"pdmp_requested_at": at})
        case PdmpQueried():
            here = here.model_copy(
                update={"pdmp": PdmpAnswer(query_id=event.query_id, at=stamp.recorded_at, outcome=event.outcome)}
            )
        case PrescriptionDrafted():
            rx = Prescription(rx_id=event.rx_id, draft=event.draft, drafted_by=event.drafted_by)
            here = here.model_copy(update={"all": (*here.all, rx)})
        case PrescriptionSigned():
            key = effect_key(journey.journey_id, stamp.sequence, NEW_RX)
            signed = {"status": RxStatus.SIGNED, "key": key, "signed_at": at, "expires_on": event.expires_on}
            here = here.replace(event.rx_id, **signed)
        case _:
            assert_never(event)
    return journey.model_copy(update={"prescriptions": here})


def due(journey: Journey, policy: Protocol) -> tuple[Obligation, ...]:
    """SLA-6: from a decision to a signed prescription."""
    decision = journey.eligibility.decision
    waiting = all(rx.status is RxStatus.DRAFTED for rx in journey.prescriptions.all)
    if journey.stage is not Stage.PREPARING or decision is None or not waiting:
        return ()
    by = policy.clocks.business_days_after(decision.decided_at, policy.clocks.prescription_business_days)
    return (Task(key="rx/first", code="PRESCRIBE", owner=Role.PRESCRIBER, due_at=by),)
