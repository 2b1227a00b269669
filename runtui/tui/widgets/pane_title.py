"""The title line of a pane: its name and state, and whether keys go to it.

Invariant: one line; a title holds foreign text only through `tui.text`.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class PaneTitle(Static):
    """A pane's first line; `-active` while the pane has the focus."""

    DEFAULT_CSS = "PaneTitle { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, title: str = "", *, id: str | None = None) -> None:
        super().__init__(Content(title), markup=False, id=id)
        self._shown = Content(title)

    def show(self, title: Content, *, active: bool) -> None:
        """Change the title; nothing is drawn when it is the same."""
        self.set_class(active, "-active")
        if not title.is_same(self._shown):
            self._shown = title
            self.update(title)
