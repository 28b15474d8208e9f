"""What an auditor runs: verify, compare, replay, timeline, as-of."""
