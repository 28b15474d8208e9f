"""The whole of Alliance at once: every process, every server, through the API."""
