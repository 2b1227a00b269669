"""Changing many runs: the form over them, sending, and what became of each."""
