"""What can go wrong with the stores. The driver's own errors become these once, in ``store.pool``.

Messages hold ids and database codes, never a value: a row's values stay in ``__cause__``, which is not for logs.
"""

from __future__ import annotations


class StoreError(Exception):
    """The database refused a statement: a bug or a wrong set-up, which no retry will heal."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached or cannot serve now. The same call may be sent again: nothing applies twice."""


class RecordsRefusedError(StoreError):
    """The records of an append are not what they say they are: a forged hash, or another journey's headers."""


class MigrationChangedError(StoreError):
    """A migration that was applied is not the file it was: a schema nobody has tested."""


class ProjectionMovedError(StoreError):
    """A journey was appended to faster than it could be folded again, every time."""
