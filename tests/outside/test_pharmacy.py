"""The pharmacy takes each prescription once and tells what becomes of it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from tests.outside.client import FILLED_AT, SECRET, SENT_AT, Outside, heard_about
from tests.outside.servers import eventually


def test_a_repeated_new_rx_is_one_prescription(outside: Outside) -> None:
    """The same MessageID twice gets the same answer, is counted twice and takes effect once."""
    message_id, message = outside.new_rx()

    first = outside.post("/pharmacy/messages", message, message_id)
    second = outside.post("/pharmacy/messages", message, message_id)

    assert (202, {"Body": {"Status": {"Code": "000"}}}) == (first.status_code, first.json())
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert {"received": 2, "took_effect": 1} == outside.seen("pharmacy", message_id)
    assert 1 == len(outside.webhooks(message_id))


def test_a_reused_message_id_with_other_content_is_refused(outside: Outside) -> None:
    """One MessageID cannot stand for two prescriptions."""
    message_id, message = outside.new_rx()
    outside.post("/pharmacy/messages", message, message_id)
    message["Body"]["NewRx"]["MedicationPrescribed"]["Quantity"]["Value"] = 6

    answer = outside.post("/pharmacy/messages", message, message_id)

    error = {"Code": "900", "DescriptionCode": "Header.MessageID:reused_with_other_content"}
    assert (422, {"Body": {"Error": error}}) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("MedicationPrescribed", "DrugDescription"), None, "missing"),
        (("MedicationPrescribed", "Quantity"), None, "missing"),
        (("MedicationPrescribed", "NumberOfRefills"), 6, "less_than_equal"),
        (("Patient", "HumanPatient", "Name"), None, "missing"),
        (("Patient", "HumanPatient", "Address"), None, "missing"),
        (("Prescriber", "NonVeterinarian", "Identification", "DEANumber"), None, "missing"),
    ],
)
def test_a_bad_prescription_is_rejected(outside: Outside, path: tuple[str, ...], value: object, reason: str) -> None:
    """A NewRx without what the law asks of a prescription is rejected with 900 and leaves no trace."""
    message_id, message = outside.new_rx()
    element = message["Body"]["NewRx"]
    for name in path[:-1]:
        element = element[name]
    del element[path[-1]]
    if value is not None:
        element[path[-1]] = value

    answer = outside.post("/pharmacy/messages", message, message_id)

    error = {"Code": "900", "DescriptionCode": f"Body.NewRx.{'.'.join(path)}:{reason}"}
    assert (422, {"Body": {"Error": error}}) == (answer.status_code, answer.json())
    assert 404 == outside.http.get(f"/pharmacy/messages/{message_id}").status_code


def test_webhooks_are_signed_repeated_and_dated_by_the_requests(outside: Outside) -> None:
    """Verify and RxFill arrive although the listener first refused, signed, with the times of their causes."""
    message_id, message = outside.new_rx()
    outside.post("/pharmacy/messages", message, message_id)
    fill = {"message_id": message_id, "at": FILLED_AT, "lot": "K-7", "beyond_use_on": "2026-04-15", "quantity": 2}
    outside.post("/pharmacy/control/fill", fill)
    door = {"message_id": message_id, "at": FILLED_AT, "signed_by_adult": True}
    outside.post("/pharmacy/control/deliver", door)

    verify, filled = heard_about(message_id, "Verify"), heard_about(message_id, "RxFill")
    delivered = heard_about(message_id, "Delivered")

    assert {"Verify": {"Code": "010"}} == verify.message["Body"]
    assert SENT_AT == verify.message["Header"]["SentTime"]
    assert {
        "FillStatus": "Dispensed",
        "Quantity": 2,
        "LotNumber": "K-7",
        "BeyondUseDate": "2026-04-15",
    } == filled.message["Body"]["RxFill"]
    assert FILLED_AT == filled.message["Header"]["SentTime"]
    assert {"SignedByAdult": True} == delivered.message["Body"]["Delivered"]
    for heard in (verify, filled, delivered):
        signed = heard.headers["X-Pharmacy-Timestamp"].encode() + b"." + heard.body
        assert "v1=" + hmac.digest(SECRET, signed, hashlib.sha256).hex() == heard.headers["X-Pharmacy-Signature"]


def test_every_webhook_is_accounted_for(outside: Outside) -> None:
    """The pharmacy's list says that a refused webhook was tried twice and is delivered."""
    message_id, message = outside.new_rx()
    outside.post("/pharmacy/messages", message, message_id)

    def delivered() -> dict[str, Any] | None:
        return next((w for w in outside.webhooks(message_id) if w["state"] == "delivered"), None)

    webhook = eventually(delivered)
    assert (2, "204") == (webhook["attempts"], webhook["last_answer"])


@pytest.mark.parametrize(("dispensed_first", "response"), [(False, "Approved"), (True, "Denied")])
def test_a_cancel_is_answered_by_webhook(outside: Outside, dispensed_first: bool, response: str) -> None:
    """CancelRx is approved until the drug is dispensed and denied afterwards."""
    message_id, message = outside.new_rx()
    outside.post("/pharmacy/messages", message, message_id)
    if dispensed_first:
        fill = {"message_id": message_id, "at": FILLED_AT, "lot": "K-7", "beyond_use_on": "2026-04-15", "quantity": 2}
        outside.post("/pharmacy/control/fill", fill)
    cancel_id, cancel = outside.new_rx()
    cancel["Header"]["RelatesToMessageID"] = message_id
    cancel["Body"] = {"CancelRx": {}}

    assert 202 == outside.post("/pharmacy/messages", cancel, cancel_id).status_code

    assert response == heard_about(cancel_id, "CancelRxResponse").message["Body"]["CancelRxResponse"]["Response"]


def test_a_message_whose_answer_was_lost_is_found(outside: Outside) -> None:
    """After a lost acknowledgement the lookup shows the message, and sending it again has no second effect."""
    message_id, message = outside.new_rx()
    outside.fault("pharmacy", "drop_ack")

    assert 502 == outside.post("/pharmacy/messages", message, message_id).status_code

    found = outside.http.get(f"/pharmacy/messages/{message_id}").json()
    assert {"Message": message, "Status": {"Code": "000"}} == found
    assert 202 == outside.post("/pharmacy/messages", message, message_id).status_code
    assert {"received": 2, "took_effect": 1} == outside.seen("pharmacy", message_id)
