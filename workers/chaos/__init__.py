"""Proof by force: what breaks the stack on purpose, to see that no promise breaks with it."""
