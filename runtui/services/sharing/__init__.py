"""Output for other people and programs: Markdown, commands, the clipboard, hand-overs.

Invariant: all output is redacted. Foreign text in it acts neither as markup nor as a command."""
