"""What runs the service learns whether it lives, can serve and how much; and the description covers all of it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.envelope import Role
from domain.journey import COMMANDS
from tests.api.conftest import Api


async def test_alive_without_asking_anybody(api: Api) -> None:
    """The process is alive although everything else is down."""
    api.app.state.ports = None

    assert (200, {"status": "alive"}) == ((a := await api.http.get("/healthz")).status_code, a.json())


async def test_ready_when_every_system_answers(api: Api) -> None:
    """All three by name, and the two kinds of worker."""
    answer = await api.http.get("/readyz")

    assert (200, ["log_database", "keys_database", "temporal"]) == (answer.status_code, answer.json()["systems"])
    assert ["journeys", "escalations"] == answer.json()["workers"]


async def test_not_ready_names_what_is_down(api: Api) -> None:
    """503 names the systems, and nothing of the error."""

    async def down() -> None:
        raise ConnectionError("postgres://user:password@host")

    api.app.state.ports = replace(api.ports, probes=dict(api.ports.probes) | {"temporal": down})

    answer = await api.http.get("/readyz")

    assert (503, "NOT_READY", ["temporal"]) == (answer.status_code, answer.json()["code"], answer.json()["down"])
    assert "password" not in answer.text


async def test_not_ready_while_nobody_would_page(api: Api) -> None:
    """A task queue without a worker is named, beside systems that all answer."""

    async def idle() -> None:
        raise LookupError

    api.app.state.ports = replace(api.ports, workers=dict(api.ports.workers) | {"escalations": idle})

    answer = await api.http.get("/readyz")

    assert (503, "NOT_READY", [], ["escalations"]) == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["down"],
        answer.json()["workers"],
    )
    assert "escalations" in answer.json()["detail"]


async def test_metrics_count_by_route_and_hold_no_id(api: Api) -> None:
    """A request is one under its route's template; ids and unknown paths are no labels."""
    await api.command("accept_referral", {}, Role.COORDINATOR)
    await api.http.get(f"/journeys/{uuid4()}/{uuid4()}")
    await api.http.request("BREW", "/healthz")

    text = (await api.http.get("/metrics")).text

    [counted] = [family for family in text_string_to_metric_families(text) if family.name == "alliance_http_requests"]
    labels = [tuple(sample.labels[name] for name in ("method", "route", "status")) for sample in counted.samples]
    assert ("POST", "/journeys/{journey_id}/commands/accept_referral", "200") in labels
    assert ("GET", "unmatched", "404") in labels
    assert "other" in {method for method, _, _ in labels}
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/nowhere", (404, "NO_SUCH_ROUTE")), ("DELETE", "/healthz", (405, "METHOD_NOT_ALLOWED"))],
)
async def test_what_is_not_there_is_a_problem(api: Api, method: str, path: str, expected: tuple[int, str]) -> None:
    """Also the framework's own refusals are problem details."""
    answer = await api.http.request(method, path)

    problem = answer.json()
    assert expected == (answer.status_code, problem["code"])
    assert {"type", "title", "status", "detail", "code"} == set(problem)
    assert "application/problem+json" == answer.headers["content-type"]


async def test_every_command_has_its_typed_entry(api: Api) -> None:
    """Each command's route describes its own body, its roles, its key and its problems."""
    document = (await api.http.get("/openapi.json")).json()

    for name, command in COMMANDS.items():
        path = "/journeys" if name == "submit_referral" else f"/journeys/{{journey_id}}/commands/{name}"
        entry = document["paths"][path]["post"]
        body = entry["requestBody"]["content"]["application/json"]["schema"]
        assert {"$ref": f"#/components/schemas/{command.__name__}"} == body
        assert set(command.model_fields) == set(document["components"]["schemas"][command.__name__]["properties"])
        assert "Idempotency-Key" in {parameter["name"] for parameter in entry["parameters"] if parameter["required"]}
        assert {"401", "403", "409", "422", "503"} <= set(entry["responses"])


async def test_the_description_refers_to_nothing_that_is_missing(api: Api) -> None:
    """Every reference in the document resolves."""
    text = (await api.http.get("/openapi.json")).text

    schemas = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(schemas)


async def test_the_docs_show_every_command_and_load_nothing(api: Api) -> None:
    """One page, with all routes, that refers to nothing outside of itself and the document."""
    page = await api.http.get("/docs")

    assert all(f"/commands/{name}<" in page.text for name in COMMANDS if name != "submit_referral")
    links = set(re.findall(r'(?:href|src)="([^"]*)"', page.text))
    assert {"/openapi.json"} == {link for link in links if not link.startswith("#")}
    assert {link[1:] for link in links if link.startswith("#")} <= set(re.findall(r'id="(\w+)"', page.text))
    assert "default-src 'none'; style-src 'unsafe-inline'" == page.headers["content-security-policy"]


async def test_the_logs_of_a_command_hold_no_word_of_it(api: Api, logged: io.StringIO) -> None:
    """What a patient writes is in no log line, whether it is taken, refused or breaks something."""
    for error in (None, RuntimeError("I am not safe")):
        api.journeys.error = error
        await api.command("accept_referral", b'{"note": "I am not safe"}', Role.COORDINATOR)
        await api.command("decline_referral", {"reason": "I am not safe"}, Role.COORDINATOR)

    assert "request_failed" in logged.getvalue()
    assert "not safe" not in logged.getvalue()
