"""What views tell the workbench. Messages of one widget alone are nested in that widget."""

from __future__ import annotations

from textual.message import Message

from runtui.domain.draft import Draft
from runtui.tui.widgets.status_line import Severity


class Said(Message):
    """A sentence for the status line."""

    def __init__(self, text: str, severity: Severity = "information") -> None:
        super().__init__()
        self.text = text
        self.severity: Severity = severity


class DetailsRequested(Message):
    """Show a run, and what failed in it, in the side panel."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id


class DraftChanged(Message):
    """The draft in the form is another one now."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class ReviewRequested(Message):
    """Show what would be sent, and ask."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class SendConfirmed(Message):
    """Send exactly this draft."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


class Left(Message):
    """A view is done: back to the one before it."""


class ListChanged(Message):
    """Filter, order or marks of the list are others now."""
