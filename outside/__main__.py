"""``python -m outside simulators``: pharmacy, PDMP, pager and mail on loopback, in one process."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from outside.app import SimulatorSettings, create_app


def parse(arguments: list[str] | None = None) -> tuple[SimulatorSettings, int]:
    """Read the settings and the HTTP port. Exits with a usage message when they cannot work."""
    parser = argparse.ArgumentParser(prog="outside", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    simulators = commands.add_parser("simulators", help="serve pharmacy, PDMP, pager and mail until SIGTERM")
    simulators.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    simulators.add_argument("--port", type=int, required=True, help="HTTP port")
    simulators.add_argument("--smtp-port", type=int, required=True, help="SMTP port")
    simulators.add_argument("--webhook-url", required=True, help="where the pharmacy POSTs its webhooks")
    simulators.add_argument(
        "--webhook-secret-file", type=Path, required=True, help="file with the key that signs webhooks"
    )
    chosen = parser.parse_args(arguments)
    try:
        secret = chosen.webhook_secret_file.read_bytes().strip()
    except OSError as e:
        parser.error(f"--webhook-secret-file cannot be read: {e.strerror}. Give a readable file.")
    if not secret:
        parser.error("--webhook-secret-file is empty. Write a random secret into it first.")
    settings = SimulatorSettings(
        host=chosen.host, smtp_port=chosen.smtp_port, webhook_url=chosen.webhook_url, webhook_secret=secret
    )
    return settings, chosen.port


def main() -> None:
    settings, port = parse()
    # uvicorn shuts down on SIGTERM and then raises it again for whoever was listening before: answer with exit 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
