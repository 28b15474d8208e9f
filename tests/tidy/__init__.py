"""Rules of the house that no tool knows: each a test, so that nobody has to remember them."""
