"""Calendars as data."""
