"""A draft whose run has moved: as opened, theirs and yours side by side, and which of the two goes on.

Invariant: nothing is chosen for anybody in silence: each property in conflict is shown with its three values. The draft
stays as it was until the person goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static
from textual.widgets.option_list import Option

from runtui.domain.draft import OTHER, Conflict, Draft, Side, default_choices, resolve, value_word
from runtui.tui.actions import Situation, bindings
from runtui.tui.messages import DropRequested, Left, MergeChanged, Merged
from runtui.tui.screens.acting import Acting
from runtui.tui.text import content, fit, middle, plain
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.widgets.pane_title import PaneTitle

_WORDS: Final[Mapping[Side, str]] = {"ours": "yours", "theirs": "theirs"}
_TITLES: Final = ("property", "as opened", "theirs", "yours", "chosen")
_GAP: Final = 2


class ConflictView(Acting):
    """Shows one draft against the run as it is by now."""

    BINDINGS = bindings("conflict")
    DEFAULT_CSS = """
    ConflictView { layout: vertical; height: 1fr; }
    ConflictView ChoiceList { height: 1fr; }
    ConflictView #conflict-titles { height: 1; padding: 0 1; display: none; }
    ConflictView.-table #conflict-titles { display: block; }
    """

    def __init__(self, situation: Callable[[], Situation], *, id: str) -> None:
        super().__init__(situation, id=id)
        self.draft: Draft | None = None
        """The draft that the values chosen make."""
        self._left: Draft | None = None
        self._now: Mapping[str, Any] = {}
        self._conflicts: tuple[Conflict, ...] = ()
        self._choices: dict[str, Side] = {}

    def compose(self) -> ComposeResult:
        """Title, column titles, one entry a property."""
        yield PaneTitle(id="conflict-title")
        yield Static(id="conflict-titles", markup=False)
        yield ChoiceList(id="conflict-list")

    @property
    def _list(self) -> ChoiceList:
        return self.query_one(ChoiceList)

    def open(self, draft: Draft, now: Mapping[str, Any], workflow_name: str) -> None:
        """Show a draft as it was left, and the run as it is by now; what was typed is chosen first."""
        self._left, self._now = draft, now
        self._conflicts = draft.conflicts(now)
        self._choices = default_choices(draft, now)
        title = Content.assemble(
            ("The run has changed", "bold"), "  ", content(workflow_name), "  ", content(middle(draft.run_id, 24))
        )
        self.query_one("#conflict-title", PaneTitle).show(title, active=True)
        self._list.clear_options()
        self._list.add_options([Option("") for _ in self._conflicts])
        self._list.highlighted = 0
        self._show()

    def take_focus(self) -> None:
        """Give the list the keys."""
        self._list.focus()

    def on_resize(self, _event: events.Resize) -> None:
        """Another width: lines or blocks."""
        self._show()

    def _show(self) -> None:
        """Draw the choices, and tell what they make."""
        if self._left is None:
            return
        self.draft = resolve(self._left, self._now, self._choices)
        width = (self._list.size.width or self.app.size.width) - 3
        lines = _table(self._conflicts, self._choices, self._left)
        is_table = cell_len(lines[0].plain) <= width
        self.set_class(is_table, "-table")
        self.query_one("#conflict-titles", Static).update(lines[0])
        for index, conflict in enumerate(self._conflicts):
            is_typed = conflict.field.name in self._left.edits
            block = _block(conflict, self._choices[conflict.field.name], is_typed=is_typed, width=width)
            self._list.replace_option_prompt_at_index(index, lines[index + 1] if is_table else block)
        self.post_message(MergeChanged(self.draft))

    def _choose(self, choose: Callable[[Side], Side]) -> None:
        index = self._list.highlighted
        if index is not None:
            name = self._conflicts[index].field.name
            self._choices[name] = choose(self._choices[name])
            self._show()

    def action_ours(self) -> None:
        """The draft's value goes on."""
        self._choose(lambda _: "ours")

    def action_theirs(self) -> None:
        """The run's value goes on."""
        self._choose(lambda _: "theirs")

    def action_other(self) -> None:
        """The other one goes on."""
        self._choose(lambda choice: OTHER[choice])

    def action_merge(self) -> None:
        """On to the review."""
        if self.draft is not None:
            self.post_message(Merged(self.draft, to_review=True))

    def action_merge_in_form(self) -> None:
        """On to the form."""
        if self.draft is not None:
            self.post_message(Merged(self.draft, to_review=False))

    def action_drop_merge(self) -> None:
        """Ask to drop the draft as it was left."""
        if self._left is not None:
            self.post_message(DropRequested(self._left, "drop_merge"))

    def action_leave_merge(self) -> None:
        """Back to the list; nothing has happened to the draft."""
        self.post_message(Left())


def _table(conflicts: tuple[Conflict, ...], choices: Mapping[str, Side], left: Draft) -> list[Content]:
    """One line a property, below the titles; as wide as its values."""
    rows = [_TITLES, *(_row(conflict, choices[conflict.field.name], left) for conflict in conflicts)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [fit(cell, width) for cell, width in zip(row, widths, strict=True)]
        lines.append(content((" " * _GAP).join(cells).rstrip()))
    return lines


def _row(conflict: Conflict, choice: Side, left: Draft) -> tuple[str, ...]:
    opened, now, ours = (plain(value_word(value)) for value in (conflict.opened, conflict.now, conflict.ours))
    if conflict.field.name not in left.edits:
        ours = "as opened"
    return (
        conflict.field.name,
        opened,
        f"{_mark(choice, 'theirs')} {now}",
        f"{_mark(choice, 'ours')} {ours}",
        _WORDS[choice],
    )


def _block(conflict: Conflict, choice: Side, *, is_typed: bool, width: int) -> Content:
    """Four lines a property, for narrow panes and long values."""
    ours = value_word(conflict.ours) if is_typed else f"{value_word(conflict.ours)}  (not edited, as opened)"
    lines = (
        f"{conflict.field.name}: {_WORDS[choice]}",
        f"    as opened  {plain(value_word(conflict.opened))}",
        f"  {_mark(choice, 'theirs')} theirs     {plain(value_word(conflict.now))}",
        f"  {_mark(choice, 'ours')} yours      {plain(ours)}",
    )
    return Content("\n").join(content(fit(line, width).rstrip()) for line in lines)


def _mark(choice: Side, value: Side) -> str:
    return "●" if choice == value else "○"
