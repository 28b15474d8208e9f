"""The event log: the only way in is one append, and what comes out can be proved.

The log never decides. It says of an append that it is in (now, or already since a lost acknowledgement), that its
command was in before, or that the two ledgers have diverged and where this one ends (architecture D4, §4).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from domain.envelope import GENESIS, AppendRequest, AppendResult, EventRecord, WorklistItem
from store.pool import Pool, fetch_all, fetch_one
from store.queries import load
from vault.canonical import header_bytes, parse_header
from vault.chain import link
from vault.keys import DataKey
from vault.sealing import open_sealed, seal

_SQL = load("log")
_WORKLIST = TypeAdapter(tuple[WorklistItem, ...])


class StoredEvent(NamedTuple):
    """A row as it is stored: what is chained first, then the columns that the database took from the header."""

    header: bytes
    ciphertext: bytes
    hash: bytes
    journey_id: UUID
    sequence: int
    event_id: UUID
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor_subject: str
    actor_role: str
    purpose: str
    command_id: UUID
    causation_id: UUID | None
    policy_version: str
    sensitivity: str
    key_version: int


class StreamHead(NamedTuple):
    """Where a stream ends: the sequence of its last record (0 when empty) and that record's hash in hex."""

    version: int
    chain_head: str


class EventLog:
    """The log database, as the runtime role sees it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, request: AppendRequest, key: DataKey) -> AppendResult:
        """Seal, chain and append all records of one command, with its journey's projections, or none of it.

        Sending the same request again is harmless, at any time. ``status`` of the answer:

        - ``appended``: the records are in, ``first`` to ``last``; ``chain_head`` is the hash of ``last``.
        - ``duplicate_command``: this command id is in with other records; ``first``, ``last``, ``types``,
          ``request_digest`` and ``chain_head`` (the hash of ``last``) are of those.
        - ``diverged``: the records do not follow from the log. ``last`` and ``chain_head`` are the log's own end;
          ``reason`` is ``log_ahead`` (others stand in their place), ``log_behind`` (earlier ones are missing here) or
          ``hash_conflict`` (what should come before them is not what the caller knows).

        Raises:
            ValueError: the request is not one journey's consecutive records of one command.
            RecordsRefusedError: the database computed other hashes than this process.
            StoreUnavailableError: it may or may not be in; send the same request again.

        """
        row = await fetch_one(self._pool, _SQL["append_events"], _parameters(request, key))
        return _result(_present(row), key)

    async def receipt(self, journey_id: UUID, command_id: UUID, key: DataKey) -> AppendResult | None:
        """What a command came to, as ``duplicate_command``; None when this journey never saw it."""
        row = await fetch_one(self._pool, _SQL["find_command"], {"journey_id": journey_id, "command_id": command_id})
        return None if row is None or row[0] is None else _result(row, key)

    async def read(
        self, journey_id: UUID, key: DataKey, from_sequence: int = 1, to: int | None = None
    ) -> list[EventRecord]:
        """Open a journey's records in order, both ends included. Raises SealBrokenError."""
        rows = await fetch_all(
            self._pool, _SQL["read"], {"journey_id": journey_id, "from_sequence": from_sequence, "to": to}
        )
        return [_record(header, ciphertext, key) for header, ciphertext in rows]

    async def read_raw(self, journey_id: UUID) -> list[StoredEvent]:
        """Read a journey's rows as they are stored, in order: what ``vault.chain.verify`` proves, without a key."""
        return [
            StoredEvent._make(row) for row in await fetch_all(self._pool, _SQL["read_raw"], {"journey_id": journey_id})
        ]

    async def journey_ids(self) -> list[UUID]:
        """List every journey that the log knows, in the order of their ids."""
        return [row[0] for row in await fetch_all(self._pool, _SQL["journey_ids"])]

    async def head(self, journey_id: UUID) -> StreamHead:
        """Tell where a journey's stream ends; ``(0, GENESIS)`` when it has not begun."""
        row = await fetch_one(self._pool, _SQL["head"], {"journey_id": journey_id})
        return StreamHead(row[0], row[1].hex()) if row else StreamHead(0, GENESIS)


def _parameters(request: AppendRequest, key: DataKey) -> dict[str, Any]:
    """The append as it travels: sealed, chained, nothing in clear but headers, codes and dates."""
    first = _checked(request)
    headers = [header_bytes(record.header) for record in request.records]
    ciphertexts = [seal(key, record.header, record.content) for record in request.records]
    previous = bytes.fromhex(request.expected_head)
    hashes: list[bytes] = []
    for header, ciphertext in zip(headers, ciphertexts, strict=True):
        previous = link(previous, header, ciphertext)
        hashes.append(previous)
    return {
        "journey_id": request.journey_id,
        "expected": bytes.fromhex(request.expected_head),
        "first": first.header.sequence,
        "command_id": first.header.command_id,
        "headers": headers,
        "ciphertexts": ciphertexts,
        "hashes": hashes,
        "summary": request.summary.model_dump_json(),
        "worklist": _WORKLIST.dump_json(request.worklist).decode(),
    }


def _checked(request: AppendRequest) -> EventRecord:
    """The first record of a request that holds one journey's consecutive records of one command."""
    first = request.records[0]
    start, command_id = first.header.sequence, first.header.command_id
    for sequence, record in enumerate(request.records, start):
        place = (request.journey_id, sequence, command_id)
        if (record.header.journey_id, record.header.sequence, record.header.command_id) != place:
            raise ValueError(
                f"Record {record.header.sequence} does not belong in this append to journey {request.journey_id}: "
                "send the records of one command, in sequence, and nothing else."
            )
    if request.summary.journey_id != request.journey_id:
        raise ValueError(f"The summary is not of journey {request.journey_id}: fold the journey's own state.")
    return first


def _result(row: TupleRow, key: DataKey) -> AppendResult:
    status, first, last, chain_head, types, header, ciphertext, reason = row
    duplicate = status == "duplicate_command"
    return AppendResult(
        status=status,
        first=first,
        last=last,
        chain_head=chain_head.hex(),
        types=tuple(types),
        request_digest=_record(header, ciphertext, key).content.request_digest if duplicate else None,
        reason=reason,
    )


def _record(header: bytes, ciphertext: bytes, key: DataKey) -> EventRecord:
    parsed = parse_header(header)
    return EventRecord(header=parsed, content=open_sealed(key, parsed, ciphertext))


def _present(row: TupleRow | None) -> TupleRow:
    assert row is not None, "append_events always answers"
    return row
