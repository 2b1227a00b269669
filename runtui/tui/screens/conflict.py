"""A draft whose run has moved: as opened, theirs and yours side by side, and which of the two goes on.

Invariant: nothing is chosen for anybody in silence: each property in conflict is shown with its three values. The draft
stays as it was until the person goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from runtui.domain.draft import OTHER, Conflict, Draft, Side, default_choices, resolve, value_word
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content, fit, middle, plain
from runtui.tui.widgets.inputs import ChoiceList

_WORDS: Final[Mapping[Side, str]] = {"ours": "yours", "theirs": "theirs"}
_TITLES: Final = ("property", "as opened", "theirs", "yours", "chosen")
_GAP: Final = 2


class Merge(NamedTuple):
    """A draft of chosen values, and whether it goes to the review at once or to the form first."""

    draft: Draft
    to_review: bool


class ConflictView(ActionView[Merge]):
    """Shows one draft against the run as it is by now; what was typed is chosen first.

    Args:
        draft: The draft as it was left.
        now: The run as it is by now, Graph's JSON object.
        workflow_name: Whose run it is.
    """

    scope = "conflict"
    BINDINGS = bindings("conflict")
    DEFAULT_CSS = """
    ConflictView { layout: vertical; height: 1fr; }
    ConflictView ChoiceList { height: 1fr; }
    ConflictView #conflict-titles { height: 1; padding: 0 1; display: none; }
    ConflictView.-table #conflict-titles { display: block; }
    """

    def __init__(self, draft: Draft, now: Mapping[str, Any], workflow_name: str) -> None:
        super().__init__()
        self.left, self._now, self._workflow_name = draft, now, workflow_name
        self._conflicts = draft.conflicts(now)
        self._choices = default_choices(draft, now)

    @property
    def draft(self) -> Draft:
        """The draft that the values chosen make."""
        return resolve(self.left, self._now, self._choices)

    def compose(self) -> ComposeResult:
        """Column titles, one entry a property."""
        yield Static(id="conflict-titles", markup=False)
        yield ChoiceList(*("" for _ in self._conflicts), id="conflict-list")

    def on_mount(self) -> None:
        """The first property has the cursor."""
        self._list.highlighted = 0
        self._show()

    @property
    def _list(self) -> ChoiceList:
        return self.query_one(ChoiceList)

    def title(self) -> Content:
        """Whose run it is."""
        name, run_id = content(self._workflow_name), content(middle(self.left.run_id, 24))
        return Content.assemble(("The run has changed", "bold"), "  ", name, "  ", run_id)

    def take_focus(self) -> None:
        """Give the list the keys."""
        self.screen.set_focus(self._list)

    def show_in(self, panel: Panel) -> None:
        """The request that the chosen values would make; the draft itself is as it was."""
        panel.show_draft(self.draft)

    def on_resize(self, _event: events.Resize) -> None:
        """Another width: lines or blocks."""
        self._show()

    def _show(self) -> None:
        """Draw the choices, and tell what they make."""
        width = (self._list.size.width or self.app.size.width) - 3
        lines = _table(self._conflicts, self._choices, self.left)
        is_table = cell_len(lines[0].plain) <= width
        self.set_class(is_table, "-table")
        self.query_one("#conflict-titles", Static).update(lines[0])
        for index, conflict in enumerate(self._conflicts):
            is_typed = conflict.field.name in self.left.edits
            block = _block(conflict, self._choices[conflict.field.name], is_typed=is_typed, width=width)
            self._list.replace_option_prompt_at_index(index, lines[index + 1] if is_table else block)
        self.post_message(self.Changed())

    def _choose(self, choose: Callable[[Side], Side]) -> None:
        index = self._list.highlighted
        if index is not None:
            name = self._conflicts[index].field.name
            self._choices[name] = choose(self._choices[name])
            self._show()

    def action_ours(self) -> None:
        self._choose(lambda _: "ours")

    def action_theirs(self) -> None:
        self._choose(lambda _: "theirs")

    def action_other(self) -> None:
        self._choose(lambda choice: OTHER[choice])

    def action_merge(self) -> None:
        self.answer(Merge(self.draft, to_review=True))

    def action_merge_in_form(self) -> None:
        self.answer(Merge(self.draft, to_review=False))

    def action_leave_merge(self) -> None:
        """Nothing has happened to the draft."""
        self.answer()


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
