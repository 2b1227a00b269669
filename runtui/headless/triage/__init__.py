"""The triage commands: causes, workflows, people, users, marks, hand-overs, the watch."""
