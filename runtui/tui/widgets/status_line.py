"""What runtui has to say, kept in sight until there is something newer: no toast that is gone after five seconds.

Invariant: it takes no line while there is nothing to say, and never more than three.
"""

from __future__ import annotations

from typing import Literal

from textual.content import Content
from textual.widgets import Static

from runtui.tui.text import content

Severity = Literal["information", "success", "warning", "error"]

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

    def say(self, text: str, severity: Severity = "information") -> None:
        """Replace what is said; an empty text gives the line back."""
        if text == self.text and self.has_class(f"-{severity}"):
            return
        self.text = text
        for known in _SIGNS:
            self.set_class(known == severity, f"-{known}")
        self.set_class(bool(text), "-speaking")
        self.update(Content(f"{_SIGNS[severity]} ") + content(text))
