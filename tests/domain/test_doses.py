"""How much may be taken: the authorised dose (INV-20), the protocol's absolute limits (INV-25), and boosters."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.codes import Code
from domain.envelope import Role
from domain.journey.consent import RevokeConsent
from domain.journey.dose_limits import dose_problem
from domain.journey.dosing import RecordDose, RevokeBooster
from domain.journey.holds import CODES, HoldKind, PlaceHold
from domain.journey.messages import Context
from domain.journey.observations import RecordMeasurements
from tests.domain import stages, v1
from tests.domain.kit import ACTORS, Story, refused


def started() -> tuple[Story, UUID]:
    """Dose 1 has its gates behind it."""
    story = v1.ready_to_dose()
    v1.start(story)
    return story, v1.dosing_session(story)


def after_dose(mg: float = 100, *, systolic: int = 118, minutes: float = 45) -> tuple[Story, UUID]:
    """45 minutes after the dose, with fresh vital signs."""
    story, session = started()
    story.yes(RecordDose(session_id=session, mg=mg, lot="L1"))
    story.after(minutes=minutes).yes(stages.vitals(systolic, 74, 76), Role.THERAPIST)
    return story, session


def booster(session: UUID, mg: float = 50) -> RecordDose:
    """A booster of half the dose."""
    return RecordDose(session_id=session, mg=mg, lot="L1", is_booster=True)


@pytest.mark.parametrize(("mg", "code"), [(100.0, None), (100.01, Code.DOSE_CEILING), (200.5, Code.DOSE_LIMIT)])
def test_inv_20_a_dose_is_at_most_what_is_authorised(mg: float, code: Code | None) -> None:
    """100 mg are authorised; above the protocol's 200 mg for a first dose the absolute limit is named."""
    story, session = started()

    assert code == refused(story.do(RecordDose(session_id=session, mg=mg, lot="L1")))


def test_inv_20_a_second_dose_in_a_session_is_a_booster() -> None:
    """A second line of a session that does not say it is a booster is refused, as any dose before the integration."""
    story, session = after_dose()

    assert Code.INTEGRATION_DUE == refused(story.do(RecordDose(session_id=session, mg=10, lot="L1")))


@pytest.mark.parametrize(("mg", "code"), [(50.0, None), (50.1, Code.DOSE_CEILING)])
def test_inv_20_a_booster_is_at_most_what_is_authorised(mg: float, code: Code | None) -> None:
    """50 mg are authorised as a booster; one booster only."""
    story, session = after_dose()

    assert code == refused(story.do(booster(session, mg)))
    if code is None:
        story.after(minutes=20).yes(stages.vitals(), Role.THERAPIST)
        assert Code.DOSE_CEILING == refused(story.do(booster(session, 1)))


def test_inv_25_a_booster_is_at_most_half_of_the_dose_taken() -> None:
    """After a dose of 80 mg, 40 mg may follow and 41 may not, whatever is authorised."""
    story, session = after_dose(80)

    assert Code.DOSE_LIMIT == refused(story.do(booster(session, 41)))
    assert refused(story.do(booster(session, 40))) is None


@pytest.mark.parametrize(
    ("systolic", "code"), [(159, None), (160, Code.DOSE_CEILING), (179, Code.DOSE_CEILING), (186, Code.DOSE_CEILING)]
)
def test_inv_20_a_booster_needs_a_d1_reading(systolic: int, code: Code | None) -> None:
    """D1 allows it; D2 and D3 do not."""
    story, session = after_dose(systolic=systolic)

    assert code == refused(story.do(booster(session)))


@pytest.mark.parametrize(("before", "code"), [(165, None), (182, Code.DOSE_CEILING)])
def test_inv_20_a_d3_ends_the_boosters_of_a_session(before: int, code: Code | None) -> None:
    """After a D2 that came down to D1 a booster may follow; after a D3 none does, whatever follows it (V6)."""
    story, session = after_dose(systolic=before, minutes=20)
    story.after(minutes=25).yes(stages.vitals(120, 74), Role.THERAPIST)

    assert code == refused(story.do(booster(session)))


def test_inv_20_a_booster_needs_a_reading_since_the_dose() -> None:
    """The reading of before the dose does not serve, nor one of 31 minutes ago."""
    story, session = started()
    story.yes(RecordDose(session_id=session, mg=100, lot="L1"))
    story.after(minutes=10)

    assert Code.DOSE_CEILING == refused(story.do(booster(session)))

    story.yes(stages.vitals(), Role.THERAPIST)
    story.after(minutes=31)

    assert Code.DOSE_CEILING == refused(story.do(booster(session)))


def test_inv_20_no_booster_comes_first() -> None:
    """A booster follows a dose."""
    story, session = started()

    assert Code.DOSE_CEILING == refused(story.do(booster(session)))


def test_a_revoked_booster_is_not_given() -> None:
    """Any clinician may take the booster back for this session."""
    story, session = after_dose()
    story.yes(RevokeBooster(session_id=session, reason="Restless"), Role.THERAPIST)

    assert Code.DOSE_CEILING == refused(story.do(booster(session)))


def test_nothing_more_is_given_after_a_stop() -> None:
    """A consent taken back in the middle of the session ends what is given."""
    revoked, session = after_dose()
    revoked.yes(RevokeConsent(scope="ketamine"))

    assert Code.CONSENT == refused(revoked.do(booster(session)))


@pytest.mark.parametrize("kind", list(HoldKind))
def test_no_booster_under_a_hold(kind: HoldKind) -> None:
    """The hold's own code: a safety hold on its way to the log forbids by HOLD_SAFETY and by no other code."""
    story, session = after_dose()
    story.yes(PlaceHold(hold=kind, reason="Stop"), Role.THERAPIST)

    assert CODES[kind] == refused(story.do(booster(session)))


@pytest.mark.parametrize(
    ("changed", "code"), [({"dose_ceiling_mg": 149.0}, Code.DOSE_CEILING), ({"dose_ceiling_mg": 150.0}, None)]
)
def test_inv_20_dose_and_booster_stay_below_the_decisions_ceiling(
    changed: dict[str, object], code: Code | None
) -> None:
    """The ceiling of the decision in force counts, also when it is lower than the prescription's."""
    story, session = after_dose()
    _redecide(story, **changed)

    assert code == refused(story.do(booster(session)))


def test_no_booster_when_eligibility_has_ended() -> None:
    """A decision that ends in the middle of a session ends what is given, ceiling or not."""
    story, session = after_dose()
    _redecide(story, valid_until=story.now)

    assert Code.NO_ACTIVE_ELIGIBILITY == refused(story.do(booster(session)))


@pytest.mark.parametrize(("weight", "mg", "code"), [(50.0, 350.0, None), (50.0, 350.1, Code.DOSE_LIMIT)])
def test_inv_25_a_session_is_limited_by_weight(weight: float, mg: float, code: Code | None) -> None:
    """7 mg per kg and session: 350 mg at 50 kg, whatever a prescription may authorise."""
    story = _authorised(400, 2)
    story.yes(RecordMeasurements(weight_kg=weight, height_cm=160), Role.THERAPIST)

    assert code == _problem(story, mg)


@pytest.mark.parametrize(("mg", "code"), [(400.0, None), (400.1, Code.DOSE_LIMIT)])
def test_inv_25_a_later_dose_is_at_most_400_mg(mg: float, code: Code | None) -> None:
    """The first dose is at most 200 mg, a later one at most 400."""
    assert code == _problem(_authorised(500, 2), mg)


def test_inv_25_an_unknown_weight_allows_nothing() -> None:
    """Without a weight the limit is unknown, and so is the answer: no."""
    story = _authorised(400, 2)
    seen = story.journey.observations.model_copy(update={"weight_kg": None})
    story.state = story.journey.model_copy(update={"observations": seen})

    assert Code.DOSE_LIMIT == _problem(story, 10)


def _authorised(mg: float, dose: int) -> Story:
    """A started session whose prescription, by some other way, authorises this much: only the limits are left."""
    story = v1.ready_to_dose(dose)
    v1.start(story)
    rx = story.journey.prescriptions.all[0]
    more = rx.draft.model_copy(update={"dose_mg": mg, "max_mg_per_session": mg})
    _redecide(story, dose_ceiling_mg=None)
    prescriptions = story.journey.prescriptions.replace(rx.rx_id, draft=more)
    story.state = story._folded = story.journey.model_copy(update={"prescriptions": prescriptions})
    return story


def _redecide(story: Story, **changed: object) -> None:
    """Put another decision in force, by some other way than the rules'."""
    here = story.journey.eligibility
    assert here.decision is not None
    eligibility = here.model_copy(update={"decision": here.decision.model_copy(update=changed)})
    story.state = story._folded = story.journey.model_copy(update={"eligibility": eligibility})


def _problem(story: Story, mg: float) -> Code | None:
    record = story.journey.dosing.find(v1.dosing_session(story))
    assert record is not None
    actor = ACTORS[Role.THERAPIST]
    ctx = Context(command_id=UUID(int=1), actor=actor, now=story.now, at=story.now, policy=stages.POLICY)
    problem = dose_problem(story.journey, record, mg, ctx, booster=False)
    return problem and problem[0]
