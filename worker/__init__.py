"""Composition root of the Temporal workers."""
