"""Scores, bands, flags and change of every instrument, against published cut-offs."""
