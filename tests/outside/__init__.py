"""The outside world keeps its own promises: tests that start its real servers and talk to them."""
