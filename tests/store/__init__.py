"""Facts about the stores, on a real PostgreSQL with real commits."""
