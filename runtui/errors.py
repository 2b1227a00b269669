"""Every failure a person meets, as a value: what happened, in a sentence, and what to do next.

Invariant: nothing here imports the rest of runtui, and no message is built from a secret.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the shell. UNKNOWN is never folded into success or failure."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 2
    UNKNOWN = 3


class RuntuiError(Exception):
    """A failure with a title (a few words), a message (a sentence) and a hint (the next step)."""

    exit_code: ExitCode = ExitCode.NOT_DONE

    def __init__(self, title: str, message: str = "", hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.message = message
        self.hint = hint

    @property
    def summary(self) -> str:
        """Title and message, without the hint."""
        title = self.title if self.title.endswith("?") else f"{self.title}."
        return f"{title} {self.message}".rstrip()

    def __str__(self) -> str:
        return f"{self.summary} {self.hint}".rstrip()


class UsageError(RuntuiError):
    """What was asked for cannot be understood: an option, a root, an id."""

    exit_code = ExitCode.USAGE


class FieldError(ValueError):
    """Typed text that is no value of its field. The text of the error is one clear sentence."""
