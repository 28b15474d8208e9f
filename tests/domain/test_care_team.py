"""Who may act: the patient on their own journey, the therapist and the prescriber on those they are named in."""

from __future__ import annotations

from datetime import date

import pytest

from domain.codes import Code
from domain.envelope import Actor, Role
from domain.journey.onboarding import ActivatePortal
from domain.journey.prescription import QueryPdmp
from domain.journey.referral import AcceptReferral, AcknowledgeReferral
from domain.journey.scheduling import SessionKind
from domain.journey.therapy import CompletePreparation
from tests.domain import stages, v1
from tests.domain.kit import ACTORS, Story, day, refused

STRANGERS = {role: Actor(subject="stranger", role=role) for role in (Role.PATIENT, Role.THERAPIST, Role.PRESCRIBER)}


@pytest.mark.parametrize("role", sorted(STRANGERS))
def test_a_stranger_takes_no_part(role: Role) -> None:
    """Another patient, therapist or prescriber is refused; the on-call clinician is named nowhere and may act."""
    command = QueryPdmp() if role is Role.PRESCRIBER else stages.vitals()

    assert Code.NOT_A_PARTICIPANT == refused(v1.prepared().do(command, STRANGERS[role]))
    assert refused(v1.prepared().do(command, ACTORS[role])) is None
    assert refused(v1.prepared().do(stages.vitals(), Role.ON_CALL)) is None


@pytest.mark.parametrize(
    ("known", "code"), [(None, None), ("subject-patient", None), ("other", Code.NOT_A_PARTICIPANT)]
)
def test_the_portal_is_activated_once_and_by_the_patient(known: str | None, code: Code | None) -> None:
    """The first login becomes the patient's; when the referral names a login already, only that one may."""
    story = Story().at(day(0))
    patient = stages.PATIENT.model_copy(update={"subject": known})
    story.yes(stages.REFERRAL.model_copy(update={"patient": patient}), Role.THERAPIST)
    story.yes(AcknowledgeReferral())

    assert refused(story.do(ActivatePortal())) is not None

    story.yes(AcceptReferral())

    assert code == refused(story.do(ActivatePortal()))
    if code is None:
        assert Code.ALREADY_DONE == refused(story.do(ActivatePortal()))


def test_a_therapist_refers_to_themselves() -> None:
    """A therapist who refers to somebody else is refused; a coordinator may."""
    other = stages.REFERRAL.model_copy(update={"therapist": stages.THERAPIST.model_copy(update={"subject": "other"})})

    assert Code.ROLE == refused(Story().do(other, Role.THERAPIST))
    assert refused(Story().do(other, Role.COORDINATOR)) is None


@pytest.mark.parametrize(
    ("born", "code"), [(date(2008, 1, 5), None), (date(2008, 1, 6), Code.UNDER_AGE), (date(2012, 1, 1), Code.UNDER_AGE)]
)
def test_a_patient_is_of_age_on_the_day_of_the_referral(born: date, code: Code | None) -> None:
    """Eighteen today is old enough; eighteen tomorrow is not."""
    patient = stages.PATIENT.model_copy(update={"birth_date": born})
    story = Story().at(day(0))

    assert code == refused(story.do(stages.REFERRAL.model_copy(update={"patient": patient}), Role.COORDINATOR))


def test_a_journey_opens_with_a_referral_and_once() -> None:
    """Before it nothing can be done, and a second one is refused."""
    assert Code.JOURNEY_NOT_OPEN == refused(Story().do(stages.vitals(), Role.ON_CALL))
    assert Code.JOURNEY_ALREADY_OPEN == refused(v1.opened().do(stages.REFERRAL, Role.COORDINATOR))


def test_only_the_practitioner_of_a_session_holds_it() -> None:
    """A session of another kind, another practitioner, or one that is over, cannot be held."""
    story = v1.drug_delivered()
    session = story.book(SessionKind.FOLLOW_UP, day(15))
    fields = {"session_id": session, "intentions": "Rest", "touch_consent": False, "safety_plan": "Agreed"}
    held = CompletePreparation.model_validate(fields | {"transport_plan": "Sister"})

    assert Code.NOT_FOUND == refused(story.do(held))

    session = story.book(SessionKind.PREPARATION, day(15))
    held = held.model_copy(update={"session_id": session})
    story.at(day(15, "11:00")).yes(held)

    assert Code.ALREADY_DONE == refused(story.do(held))
