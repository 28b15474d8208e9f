"""The rules of care, as facts: the specification a newcomer reads."""
