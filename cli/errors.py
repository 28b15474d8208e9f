"""Failures whose message already says what to do next: shown as they are, and never as a stack trace."""
# ruff: noqa: PLC0415

from __future__ import annotations


def expected() -> tuple[type[Exception], ...]:
    """Give their types. Looked up when a failure is at hand, so that --help stays quick."""
    from runtime.settings import SettingsError
    from runtime.temporal import TemporalUnavailableError
    from stack.connection import NoStackError
    from stack.postgres import PostgresError
    from stack.processes import ChildError
    from stack.temporal_server import TemporalServerError
    from store.errors import StoreError
    from vault.errors import VaultError

    ours = (SettingsError, TemporalUnavailableError, StoreError, VaultError)
    return (*ours, NoStackError, PostgresError, ChildError, TemporalServerError)
