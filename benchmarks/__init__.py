"""How fast it is, measured and never asserted: ``python -m benchmarks``. What the figures mean: docs/performance.md."""
