"""The simulators and a webhook listener, started once for all tests of the outside world."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import httpx2
import pytest

from tests.outside.client import SECRET, Listener, Outside
from tests.outside.servers import free_port, running, simulator_argv


@pytest.fixture(scope="package")
def webhook_url() -> Iterator[str]:
    """Listen for webhooks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/webhooks/pharmacy"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="package")
def outside(webhook_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Run the simulators once for this package."""
    folder = tmp_path_factory.mktemp("outside")
    secret_file = folder / "webhook.secret"
    secret_file.write_bytes(SECRET + b"\n")
    port, smtp_port = free_port(), free_port()
    argv = simulator_argv(port, smtp_port, webhook_url, secret_file)
    base = f"http://127.0.0.1:{port}"
    with running(argv, {}, f"{base}/healthz", folder / "log"), httpx2.Client(base_url=base, timeout=10) as http:
        yield Outside(http, smtp_port)
