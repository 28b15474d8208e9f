"""Facts about sealing, keys and chains."""
