"""The journey as it lives in Temporal: on a real server, with a virtual clock, and behind it an honest fake world."""
