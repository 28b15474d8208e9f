"""The embedded stack: PostgreSQL, Temporal, the outside world, supervised; and the demo that walks it."""
