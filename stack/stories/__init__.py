"""Worked cases as stories: told through the API, as each role with its own token, on their own dates."""
