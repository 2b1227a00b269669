"""Every failure a person meets, as a value: what happened, in a sentence, and what to do next.

Invariant: nothing here imports the rest of runtui, and no message is built from a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of some names that was likely meant, in any case of the letters; empty where none is near."""
    from difflib import get_close_matches

    by_folded = {known.casefold(): known for known in names}
    found = get_close_matches(name.replace("_", "-").casefold(), by_folded, 1, 0.6)
    return by_folded[found[0]] if found else ""


def nearest_words(name: str, names: Iterable[str]) -> str:
    """` Did you mean …?`, or nothing."""
    near = nearest(name, names)
    return f" Did you mean {near}?" if near else ""
