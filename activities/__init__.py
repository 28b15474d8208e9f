"""Where Alliance touches the outside world: one module per system, and the ledger."""
