"""The pager, the PDMP, the mail provider, their faults and their process."""

from __future__ import annotations

import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.outside.client import SECRET, SENT_AT, Outside
from tests.outside.servers import free_port, running, simulator_argv


def test_a_refused_request_leaves_nothing_and_off_ends_it(outside: Outside) -> None:
    """An error fault answers 503 before anything is done; off lets the next request through."""
    key = str(uuid4())
    page = {"key": key, "reference": "case", "raised_at": SENT_AT}
    outside.fault("pager", "error", count=5)

    assert 503 == outside.post("/pager/pages", page, key).status_code

    outside.fault("pager", "off")
    assert 404 == outside.http.get(f"/pager/pages/{key}").status_code
    assert 201 == outside.post("/pager/pages", page, key).status_code
    assert {"received": 1, "took_effect": 1} == outside.seen("pager", key)


def test_a_late_answer_has_done_its_work(outside: Outside) -> None:
    """A caller that gives up on a late answer finds that the page went out."""
    key = str(uuid4())
    outside.fault("pager", "late", seconds=2)

    with pytest.raises(httpx2.TimeoutException):
        outside.http.post(
            "/pager/pages",
            json={"key": key, "reference": "case", "raised_at": SENT_AT},
            headers={"Idempotency-Key": key},
            timeout=0.5,
        )

    assert key == outside.http.get(f"/pager/pages/{key}").json()["key"]


def test_a_repeated_page_wakes_once(outside: Outside) -> None:
    """The same key answers 201, then 200 with the same page id."""
    key = str(uuid4())
    page = {"key": key, "reference": "case", "raised_at": SENT_AT}

    first, second = (outside.post("/pager/pages", page, key) for _ in range(2))

    assert (201, 200) == (first.status_code, second.status_code)
    assert first.json()["page_id"] == second.json()["page_id"]


def pdmp_query() -> dict[str, Any]:
    """Ask two states about one patient."""
    practitioner = {
        "resourceType": "Practitioner",
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    }
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "resource": {"resourceType": "Patient", "birthDate": "1987-03-14"}},
            {"name": "authorized-practitioner", "resource": practitioner},
            {"name": "state", "valueCode": "NY"},
            {"name": "state", "valueCode": "NJ"},
            {"name": "requested-at", "valueInstant": SENT_AT},
        ],
    }


def test_a_pdmp_answer_stays_the_answer(outside: Outside) -> None:
    """The overlap scenario names two prescribers; a repeated key keeps its first answer though the scenario moved."""
    key = str(uuid4())
    path = "/pdmp/fhir/Patient/$pdmp-history"
    assert 404 == outside.http.get(f"/pdmp/queries/{key}").status_code
    outside.post("/pdmp/control/scenario", {"scenario": "overlap"})
    first = outside.post(path, pdmp_query(), key).json()
    outside.post("/pdmp/control/scenario", {"scenario": "clear"})

    assert first == outside.post(path, pdmp_query(), key).json()
    assert first == outside.http.get(f"/pdmp/queries/{key}").json()
    orders = [entry["resource"]["contained"][0] for entry in first["entry"]]
    assert 2 == len({order["requester"]["identifier"]["value"] for order in orders})
    assert 0 == outside.post(path, pdmp_query(), str(uuid4())).json()["total"]


def mail(message_id: str) -> EmailMessage:
    """Write a message that says nothing."""
    message = EmailMessage()
    message["Message-ID"] = f"<{message_id}>"
    message["From"], message["To"], message["Subject"] = "clinic@example.org", "ada@example.org", "A new message"
    message.set_content("Please open the portal.")
    return message


def test_a_mail_is_stored_once(outside: Outside) -> None:
    """A message whose acceptance was lost is found by its Message-ID and stored once when sent again."""
    message_id = f"{uuid4()}.3.send_message@clinic.example.org"
    assert 404 == outside.http.get(f"/mail/messages/{message_id}").status_code
    outside.fault("mail", "drop_ack")
    with smtplib.SMTP("127.0.0.1", outside.smtp_port) as smtp:
        with pytest.raises(smtplib.SMTPDataError) as lost:
            smtp.send_message(mail(message_id))
        assert 451 == lost.value.smtp_code
        assert 200 == outside.http.get(f"/mail/messages/<{message_id}>").status_code
        smtp.send_message(mail(message_id))

    stored = [m for m in outside.http.get("/mail/messages").json() if m["message_id"] == message_id]
    assert [("A new message", ["ada@example.org"], "Please open the portal.", 2)] == [
        (m["subject"], m["to"], m["body"].strip(), m["received"]) for m in stored
    ]
    assert {"received": 2, "took_effect": 1} == outside.seen("mail", message_id)


def test_sigterm_ends_the_process_cleanly(tmp_path: Path) -> None:
    """SIGTERM stops the simulators with exit code 0 and without a word of complaint."""
    secret_file, log = tmp_path / "secret", tmp_path / "log"
    secret_file.write_bytes(SECRET)
    port = free_port()
    argv = simulator_argv(port, free_port(), "http://127.0.0.1:9/nobody", secret_file)

    with running(argv, {}, f"http://127.0.0.1:{port}/healthz", log) as process:
        pass

    assert (0, "") == (process.returncode, log.read_text())


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    """Without a secret nothing starts, and the message says what to do."""
    (tmp_path / "secret").touch()

    ended = subprocess.run(
        simulator_argv(1, 2, "http://127.0.0.1:9/nobody", tmp_path / "secret"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert 2 == ended.returncode
    assert "Write a random secret into it first." in ended.stderr
