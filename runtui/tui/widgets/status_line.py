"""What runtui has to say, kept in sight until there is something newer: no toast that is gone after five seconds.

Invariant: it takes no line while there is nothing to say, and never more than three. A sentence does not outlive its
cause: whoever says it says how long it holds, and what happened holds until something newer is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from textual.content import Content
from textual.widgets import Static

from runtui.tui.text import content

Severity = Literal["information", "success", "warning", "error"]

Holds: TypeAlias = Callable[[], bool]
"""Whether a sentence is still true."""


def for_good() -> bool:
    """What happened has happened."""
    return True


_SIGNS: dict[Severity, str] = {"information": "·", "success": "✓", "warning": "!", "error": "✗"}


class StatusLine(Static):
    """One message with its severity; the sign says it without colour."""

    DEFAULT_CSS = """
    StatusLine { height: auto; max-height: 3; padding: 0 1; display: none; }
    StatusLine.-speaking { display: block; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self.text = ""

    def show(self, text: str, severity: Severity) -> None:
        """Replace what is said; an empty text gives the line back."""
        if text == self.text and self.has_class(f"-{severity}"):
            return
        self.text = text
        for known in _SIGNS:
            self.set_class(known == severity, f"-{known}")
        self.set_class(bool(text), "-speaking")
        self.update(Content(f"{_SIGNS[severity]} ") + content(text))
