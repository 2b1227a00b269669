"""The errors that a person sees: a title, a message and the next step.

Invariant: this file imports nothing else of runtui, and no message is built from a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the process. UNKNOWN counts neither as success nor as failure."""

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
    """An invalid option, root or id."""

    exit_code = ExitCode.USAGE


class FieldError(ValueError):
    """A typed text that is no valid value of its field. The error's text is one sentence."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the most similar of `names`, ignoring case; empty if none is similar."""
    from difflib import get_close_matches

    by_folded = {known.casefold(): known for known in names}
    found = get_close_matches(name.replace("_", "-").casefold(), by_folded, 1, 0.6)
    return by_folded[found[0]] if found else ""


def nearest_words(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean …?` with the most similar name; empty if none is similar."""
    near = nearest(name, names)
    return f" Did you mean {near}?" if near else ""
