"""What leaves runtui for other people and programs: Markdown, commands, the clipboard, the hand-over.

Invariant: it is redacted, and foreign text in it is text: no markup where it is read, no command where it is pasted."""
