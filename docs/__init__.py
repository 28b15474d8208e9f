"""Documentation, and the programs that write the part of it which the code already says."""
