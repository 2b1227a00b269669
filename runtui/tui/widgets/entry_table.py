"""The entries of the journal, one line each, drawn line by line.

Invariant: the cursor belongs to an entry's number; entries may come above it, and it stays on its own. Only lines in
sight are worked out, so drawing costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from runtui.graph.exchange import Outcome
from runtui.graph.identity import same_server
from runtui.services.journal import Entry
from runtui.services.journal_export import change_words
from runtui.services.journal_filter import outcome_word
from runtui.tui.actions import bindings
from runtui.tui.text import fit, middle


class Look(NamedTuple):
    """How an outcome looks: a sign beside the word, and a colour that only helps."""

    sign: str
    role: str


LOOKS: Final[dict[Outcome | None, Look]] = {
    Outcome.DONE: Look("✓", "done"),
    Outcome.NOT_DONE: Look("✗", "not-done"),
    Outcome.UNKNOWN: Look("?", "unknown"),
    None: Look("↑", "open"),
}

DAMAGED: Final = Look("!", "unknown")
"""How an entry looks that cannot be read."""

GAP: Final = " "

ROOM_FOR_IDS: Final = 100
"""Cells of a line from which on it shows the run's id beside the change."""


class EntryTable(ScrollView, can_focus=True):
    """Shows entries, newest first."""

    BINDINGS = bindings("table")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "entry-table--cursor",
        "entry-table--cursor-blurred",
        "entry-table--text",
        "entry-table--muted",
        "entry-table--done",
        "entry-table--not-done",
        "entry-table--unknown",
        "entry-table--open",
    }
    """
    | Class | Description |
    | :- | :- |
    | `entry-table--cursor` | The line under the cursor, while the table has the focus. |
    | `entry-table--cursor-blurred` | The same, while it has not. |
    | `entry-table--text` | What changed, and where. |
    | `entry-table--muted` | Number, time and ids. |
    | `entry-table--done`, `--not-done`, `--unknown`, `--open` | The outcome. |
    """
    DEFAULT_CSS = "EntryTable { scrollbar-size: 0 0; overflow-x: hidden; }"

    class CursorMoved(Message):
        """The cursor stands on another entry, or on none."""

        def __init__(self, table: EntryTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> EntryTable:
            """The table."""
            return self.table

    class EndReached(Message):
        """The cursor stands on the last line: there may be older entries."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.entries: Sequence[Entry] = ()
        self.cursor = 0
        self._root = ""

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor."""
        return self.entries[self.cursor] if self.cursor < len(self.entries) else None

    def show(self, entries: Sequence[Entry], root: str) -> None:
        """Show other entries; the cursor stays on its own, and on its line where that is gone.

        Args:
            entries: Newest first.
            root: The root of this session; where an entry is of another one, its line says so.
        """
        before, offset = self.entry, self.cursor - self.scroll_offset.y
        self.entries, self._root = entries, root
        lines = (line for line, entry in enumerate(entries) if before is not None and entry.number == before.number)
        self.cursor = next(lines, max(0, min(self.cursor, len(entries) - 1)))
        self.virtual_size = Size(self.size.width, len(entries))
        self._scroll_to_line(self.cursor - offset)
        self.refresh()
        self.post_message(self.CursorMoved(self))

    def move_to(self, line: int) -> None:
        """Put the cursor on a line, scrolling only as far as needed."""
        if not self.entries:
            return
        before, self.cursor = self.cursor, max(0, min(line, len(self.entries) - 1))
        top, height = self.scroll_offset.y, max(1, self.size.height)
        self._scroll_to_line(min(max(top, self.cursor - height + 1), self.cursor))
        if self.cursor != before:
            self._repaint(before)
            self._repaint(self.cursor)
            self.post_message(self.CursorMoved(self))
        if self.cursor == len(self.entries) - 1:
            self.post_message(self.EndReached())

    def action_step(self, lines: int) -> None:
        """Some lines down, or up."""
        self.move_to(self.cursor + lines)

    def action_page(self, screens: int) -> None:
        """Some screens down, or up."""
        self.move_to(self.cursor + screens * max(1, self.size.height - 1))

    def action_first_row(self) -> None:
        """To the newest entry."""
        self.move_to(0)

    def action_last_row(self) -> None:
        """To the oldest one that is shown."""
        self.move_to(len(self.entries) - 1)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked line."""
        line = self.scroll_offset.y + event.y
        if line < len(self.entries):
            self.move_to(line)

    def on_resize(self) -> None:
        """Keep the cursor in sight at any size."""
        self.virtual_size = Size(self.size.width, len(self.entries))
        self.move_to(self.cursor)

    def on_focus(self) -> None:
        """Draw the line under the cursor as the one keys act on."""
        self._repaint(self.cursor)

    def on_blur(self) -> None:
        """Draw it as one that waits."""
        self._repaint(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        line, width = self.scroll_offset.y + y, self.size.width
        if line >= len(self.entries):
            return Strip.blank(width, self.rich_style)
        cells = entry_cells(self.entries[line], width, self._root)
        if line == self.cursor:
            role = "cursor" if self.has_focus else "cursor-blurred"
            cells = ((fit(GAP.join(text for text, _ in cells), width), role),)
        segments = [Segment(text + GAP, self.get_component_rich_style(f"entry-table--{role}")) for text, role in cells]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _scroll_to_line(self, top: int) -> None:
        top = max(0, min(top, len(self.entries) - self.size.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _repaint(self, line: int) -> None:
        if 0 <= line - self.scroll_offset.y < self.size.height:
            self.refresh_line(line)


def entry_cells(entry: Entry, width: int, root: str) -> tuple[tuple[str, str], ...]:
    """The cells of an entry in a line of so many cells: the text, and the role that styles it.

    The first columns have a width of their own; what changed takes the rest.
    """
    look = LOOKS[entry.outcome] if not entry.damage else DAMAGED
    opened = f"{entry.opened_at.astimezone():%m-%d %H:%M}" if not entry.damage else ""
    cells = [
        (fit(f"#{entry.number}", 5), "muted"),
        (fit(opened, 11), "muted"),
        (fit(f"{look.sign} {outcome_word(entry)}", 10), look.role),
        (fit(entry.workflow_name or entry.workflow_id, max(8, min(24, (width - 40) // 4))), "text"),
    ]
    if width >= ROOM_FOR_IDS:
        cells.append((fit(middle(entry.run_id, 9), 9), "muted"))
    taken = sum(cell_len(text) + len(GAP) for text, _ in cells)
    return (*cells, (fit(_change(entry, root), max(0, width - taken)), "text"))


def _change(entry: Entry, root: str) -> str:
    """What changed in short; before it what the entry has to do with another one, or with another server."""
    if entry.damage:
        return entry.damage
    parts = []
    if not same_server(entry.root, root):
        parts.append(f"at {entry.root.partition('://')[2]}")
    if entry.undoes is not None:
        parts.append(f"undoes #{entry.undoes}")
    if entry.undone_by is not None:
        parts.append(f"undone by #{entry.undone_by}")
    return ": ".join([*parts, ", ".join(change_words(entry))])
