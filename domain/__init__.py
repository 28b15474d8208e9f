"""Pure rules: what a care journey may do, and why not. No I/O, no clock, no randomness."""
