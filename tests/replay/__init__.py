"""Golden histories: what earlier builds did, sealed under test keys, and whether this build would do the same."""
