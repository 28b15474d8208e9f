"""Composition root of the HTTP API: commands, reads, webhooks, the codec endpoint."""
