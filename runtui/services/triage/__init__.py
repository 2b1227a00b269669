"""The triage memory of runs: stored with the journal, copied into the store, exported to the next shift."""
