"""Each adapter against the outside system it speaks to, with faults on demand."""
