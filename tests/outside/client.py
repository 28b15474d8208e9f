"""What a client of the simulated systems needs in a test: a prescription, a webhook listener and a way to call."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from uuid import uuid4

import httpx2

from tests.outside.servers import eventually

SECRET = b"a secret only this test knows"
SENT_AT = "2026-01-13T15:00:00+00:00"
FILLED_AT = "2026-01-15T18:30:00+00:00"

NEW_RX: dict[str, Any] = {
    "Patient": {
        "HumanPatient": {
            "Name": {"FirstName": "Ada", "LastName": "Example"},
            "DateOfBirth": {"Date": "1987-03-14"},
            "Address": {
                "AddressLine1": "1 Test Street",
                "City": "Albany",
                "StateProvince": "NY",
                "PostalCode": "12207",
            },
        }
    },
    "Prescriber": {"NonVeterinarian": {"Identification": {"NPI": "1234567893", "DEANumber": "AB1234563"}}},
    "MedicationPrescribed": {
        "DrugDescription": "ketamine 100 mg sublingual troche",
        "Quantity": {"Value": 2},
        "WrittenDate": {"Date": "2026-01-13"},
        "NumberOfRefills": 0,
        "Sig": {"SigText": "Dissolve one troche under the tongue at a supervised session."},
    },
}


@dataclass(frozen=True)
class Heard:
    """One webhook as it came over the wire."""

    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


class Listener(BaseHTTPRequestHandler):
    """The prescriber's webhook endpoint. Refuses once per prescription, to make the pharmacy repeat itself."""

    heard: ClassVar[list[Heard]] = []
    refused: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        heard = Heard(dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"])))
        related = heard.message["Header"]["RelatesToMessageID"]
        refuse = related not in self.refused
        self.refused.add(related)
        if not refuse:
            self.heard.append(heard)
        self.send_response(503 if refuse else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Keep the test output quiet."""


@dataclass(frozen=True)
class Outside:
    http: httpx2.Client
    smtp_port: int

    def post(self, path: str, body: dict[str, Any], key: str = "") -> httpx2.Response:
        return self.http.post(path, json=body, headers={"Idempotency-Key": key} if key else {})

    def fault(self, system: str, mode: str, count: int = 1, seconds: float = 1.0) -> None:
        order = {"system": system, "mode": mode, "count": count, "seconds": seconds}
        assert self.post("/control/faults", order).status_code == 200

    def seen(self, system: str, key: str) -> dict[str, int]:
        counts: dict[str, int] = self.http.get("/control/seen").json()[system].get(key, {})
        return counts

    def webhooks(self, message_id: str) -> list[dict[str, Any]]:
        listed = self.http.get("/pharmacy/control/webhooks").json()
        return [w for w in listed if w["message"]["Header"]["RelatesToMessageID"] == message_id]

    def new_rx(self) -> tuple[str, dict[str, Any]]:
        message_id = f"{uuid4()}.12.transmit_prescription"
        header = {"MessageID": message_id, "SentTime": SENT_AT, "From": "clinic", "To": "pharmacy"}
        return message_id, {"Header": header, "Body": {"NewRx": copy.deepcopy(NEW_RX)}}


def heard_about(message_id: str, kind: str) -> Heard:
    """Find the first webhook of this kind about this message, waited for."""

    def look() -> Heard | None:
        about = (h for h in Listener.heard if h.message["Header"]["RelatesToMessageID"] == message_id)
        return next((h for h in about if kind in h.message["Body"]), None)

    return eventually(look)
