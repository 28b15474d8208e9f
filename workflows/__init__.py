"""Durable interpreters of the domain. They wait, call and remember; they never decide."""
