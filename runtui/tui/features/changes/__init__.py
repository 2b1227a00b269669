"""Changing runs: the form, the service's actions, many runs at once, and the journal of what was sent."""
