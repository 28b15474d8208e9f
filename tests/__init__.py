"""Facts about Alliance, each stated in a docstring and able to fail."""
