"""The outside world for the demo and the tests: real servers that know nothing of Alliance."""
